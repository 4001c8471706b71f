"""An RTSP server for the tests, run by the system's Python, which is the one GStreamer's bindings are for.

rtsp_server.py PORT [--codec h264|h265|mjpeg] [--size WxH] [--rate N] [--nominal N] [--gop N] [--bframes N]
    [--audio aac|pcmu|pcma|none] [--udp-only] [--user NAME --password WORD [--digest]] [--tls PEM]
    [--record FILE] [--readings FILE]

/live is the camera of rtsp_camera.py: by default H.264 with two B-frames in a row, and AAC. Of H.265 it makes no B-frames.
`--nominal`: the rate its timestamps claim.
/record takes H.264, and /record-av H.264 and AAC, into a Matroska file; `--readings`: a line for each picture, with its
number, the time in its bar code and the time it was read at (monotonic milliseconds).
Prints "ready" once it listens. Lines it takes: "video off", "audio on", "jump 1.5", "video_jump -1", "rate 24", "size 640x360".
"""

import argparse
import sys
import threading
import time
from fractions import Fraction

import barcode
import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
from rtsp_camera import Camera  # noqa: E402


def size(text):
    width, _, height = text.partition("x")
    return int(width), int(height)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--codec", choices=["h264", "h265", "mjpeg"], default="h264")
    parser.add_argument("--size", type=size, default=(320, 180))
    parser.add_argument("--rate", type=float, default=25)
    parser.add_argument("--nominal", type=Fraction)
    parser.add_argument("--gop", type=int, default=25)
    parser.add_argument("--bframes", type=int, default=2)
    parser.add_argument("--audio", choices=["aac", "pcmu", "pcma", "none"], default="aac")
    parser.add_argument("--udp-only", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--tls")
    parser.add_argument("--record")
    parser.add_argument("--readings")
    return parser.parse_args()


def recording(path, readings, sound):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_latency(0)
    launch = (
        f"matroskamux name=mux streamable=true ! filesink location={path} sync=false buffer-mode=unbuffered "
        "rtph264depay name=depay0 ! h264parse ! tee name=picture ! queue ! mux. "
    )
    if sound:
        launch += "rtpmp4gdepay name=depay1 ! aacparse ! mux. "
    if readings:
        launch += (
            "picture. ! queue ! avdec_h264 max-threads=1 ! videoconvert ! video/x-raw,format=GRAY8 "
            "! appsink name=read sync=false emit-signals=true "
        )
        factory.connect("media-configure", lambda _factory, media: read_codes(media, readings))
    factory.set_launch(f"( {launch})")
    return factory


def read_codes(media, path):
    def read(sink):
        sample = sink.emit("pull-sample")
        now = int(time.monotonic() * 1000)
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        data = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
        luma = np.frombuffer(data, np.uint8).reshape(height, -1)[:, :width]
        print(barcode.read(luma, 1), barcode.read(luma, 0), now, file=lines, flush=True)
        return Gst.FlowReturn.OK

    lines = open(path, "a", encoding="ascii")  # noqa: SIM115 - for as long as the server runs
    media.get_element().get_by_name("read").connect("new-sample", read)


def demand_password(auth, factories, asked):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if asked.digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(asked.user, asked.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(asked.user, asked.password), token)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)


def listen_for_words(camera):
    kinds = {"video": on, "audio": on, "size": size}
    for line in sys.stdin:
        name, value = line.split()
        setattr(camera, name, kinds.get(name, float)(value))
        print("heard", flush=True)


def on(word):
    return word == "on"


def main():
    asked = options()
    server = GstRtspServer.RTSPServer()
    server.set_service(asked.port)
    server.set_address("127.0.0.1")
    mounts = server.get_mount_points()
    camera = Camera(asked)
    factories = {"/live": camera.factory}
    if asked.record:
        factories["/record"] = recording(asked.record, asked.readings, sound=False)
        factories["/record-av"] = recording(asked.record, asked.readings, sound=True)
    for path, factory in factories.items():
        mounts.add_factory(path, factory)
    auth = GstRtspServer.RTSPAuth()
    if asked.user:
        demand_password(auth, factories.values(), asked)
    if asked.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(asked.tls))
    if asked.user or asked.tls:
        server.set_auth(auth)
    server.attach(None)
    threading.Thread(target=listen_for_words, args=(camera,), daemon=True).start()
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
