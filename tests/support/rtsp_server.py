"""An RTSP server for the tests, run by the system's Python, which is the one GStreamer's bindings are for.

rtsp_server.py PORT [--codec h264|h265] [--size WxH] [--rate N] [--gop N] [--audio] [--bframes N]
    [--user NAME --password WORD] [--tls PEM] [--record FILE]

/live plays a picture that moves, with sound where that is asked for; /record takes H.264, and then AAC too, into a
Matroska file.
Prints "ready" once it listens.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--codec", choices=["h264", "h265"], default="h264")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--gop", type=int, default=15)
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--tls")
    parser.add_argument("--record")
    return parser.parse_args()


def playing(asked):
    width, height = asked.size.split("x")
    encoder = f"x{asked.codec[1:]}enc speed-preset=ultrafast key-int-max={asked.gop} bitrate=2000 "
    encoder += f"bframes={asked.bframes} b-adapt=false" if asked.bframes else "tune=zerolatency"
    encoder += " threads=1" if asked.codec == "h264" else " option-string=pools=1"
    launch = (
        f"videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={width},height={height},"
        f"framerate={asked.rate}/1 ! {encoder} ! rtp{asked.codec}pay name=pay0 pt=96 config-interval=-1"
    )
    if asked.audio:
        launch += " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_shared(True)
    return factory


def recording(path, sound):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_latency(0)
    factory.set_launch(
        f"( matroskamux name=mux streamable=true ! filesink location={path} sync=false buffer-mode=unbuffered "
        "rtph264depay name=depay0 ! h264parse ! mux. "
        f"{'rtpmp4gdepay name=depay1 ! aacparse ! mux. ' if sound else ''})"
    )
    return factory


def demand_password(auth, factories, asked):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(asked.user, asked.password), token)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)


def main():
    asked = options()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(asked.port)
    server.set_address("127.0.0.1")
    mounts = server.get_mount_points()
    factories = [playing(asked)]
    mounts.add_factory("/live", factories[0])
    if asked.record:
        factories.append(recording(asked.record, asked.audio))
        mounts.add_factory("/record", factories[1])
    auth = GstRtspServer.RTSPAuth()
    if asked.user:
        demand_password(auth, factories, asked)
    if asked.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(asked.tls))
    if asked.user or asked.tls:
        server.set_auth(auth)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
