"""The camera of rtsp_server.py: a picture that moves, with its number and the time as bar codes, and a beep with each flash.

Row 0 of a picture: the monotonic clock in milliseconds, when it was taken. Row 1: its number, which goes on as long as the
server runs. Every two seconds of its own time the lower half is white for three pictures, and a tone is heard meanwhile.
"""

import threading
import time
from fractions import Fraction

import barcode
import numpy as np
from gi.repository import Gst, GstRtsp, GstRtspServer

_FLASH_EVERY_S = 2
_FLASH_FRAMES = 3
_TONE_HZ = 1000
# A picture this late is not made up for: the machine, not the camera, was slow.
_FORGIVEN_S = 1.0
# By codec: what makes and sends it, samples a second, and by so many samples the encoder delays what it is given.
_SOUND = {
    "aac": ("voaacenc bitrate=64000 ! aacparse ! rtpmp4gpay", 48000, 1600),
    "pcmu": ("mulawenc ! rtppcmupay", 8000, 0),
    "pcma": ("alawenc ! rtppcmapay", 8000, 0),
}
# No timestamp is below 0.
_FIRST_S = 0.2


class Camera:
    """What is asked of it changes while it runs: `video`, `audio` (on or off), `jump` and `video_jump` (seconds that are added
    to the timestamps of both, or of the picture's), `rate` (pictures a second, whatever the timestamps claim), `size`."""

    def __init__(self, asked):
        self.video = self.audio = True
        self.jump = self.video_jump = 0.0
        self.rate = asked.rate
        self.size = asked.size
        self._nominal = asked.nominal or Fraction(asked.rate).limit_denominator(1001)
        self._sound = asked.audio
        self._number = 0
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(self._launch(asked))
        self.factory.set_shared(True)
        if asked.udp_only:
            self.factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        self.factory.connect("media-configure", self._begin)

    def _launch(self, asked):
        live = "is-live=true format=time do-timestamp=false"
        launch = f"appsrc name=video {live} ! videoconvert ! video/x-raw,format=I420 ! "
        if asked.codec == "mjpeg":
            launch += "jpegenc ! rtpjpegpay name=pay0 pt=26"
        else:
            launch += f"x{asked.codec[1:]}enc speed-preset=ultrafast key-int-max={asked.gop} bitrate=2000 "
            if asked.codec == "h265":
                launch += "tune=zerolatency option-string=pools=1 "
            elif asked.bframes:
                launch += f"threads=1 bframes={asked.bframes} b-adapt=false ! video/x-h264,profile=main "
            else:
                launch += "threads=1 tune=zerolatency "
            launch += f"! rtp{asked.codec}pay name=pay0 pt=96 config-interval=-1"
        if self._sound != "none":
            encoder, *_ = _SOUND[self._sound]
            launch += f" appsrc name=audio {live} ! audioconvert ! {encoder} name=pay1 pt=97"
        return f"( {launch} )"

    def _begin(self, _factory, media):
        pipeline = media.get_element()
        pipeline.get_parent().connect("deep-element-added", _send_at_once)
        threading.Thread(
            target=self._run,
            args=(pipeline.get_by_name("video"), pipeline.get_by_name("audio")),
            daemon=True,
        ).start()

    def _run(self, video, audio):
        size, taken, heard = None, 0, 0
        rate = f"{self._nominal.numerator}/{self._nominal.denominator}"
        due = time.monotonic()
        _, sound_rate, delay = _SOUND.get(self._sound, ("", 0, 0))
        if audio:
            audio.set_property("caps", Gst.Caps.from_string(
                f"audio/x-raw,format=S16LE,layout=interleaved,channels=1,rate={sound_rate}"))  # fmt: skip
        going = True
        while going:
            if self.size != size:
                size = self.size
                video.set_property("caps", Gst.Caps.from_string(
                    f"video/x-raw,format=GRAY8,width={size[0]},height={size[1]},framerate={rate}"))  # fmt: skip
            begin, end = (int(n / self._nominal * Gst.SECOND) for n in (taken, taken + 1))
            flash = taken % int(_FLASH_EVERY_S * self._nominal) < _FLASH_FRAMES
            picture = self._picture(size, flash)
            if self.video:
                at = begin + int((_FIRST_S + self.jump + self.video_jump) * Gst.SECOND)
                going = _push(video, picture, at, end - begin)
            if audio:
                until = int((taken + 1) / self._nominal * sound_rate)
                tone = np.sin(2 * np.pi * _TONE_HZ * np.arange(heard, until) / sound_rate)
                if self.audio:
                    at = (heard - delay) * Gst.SECOND // sound_rate + int((_FIRST_S + self.jump) * Gst.SECOND)
                    samples = (tone * (12000 if flash else 0)).astype("<i2")
                    _push(audio, samples, at, (until - heard) * Gst.SECOND // sound_rate)
                heard = until
            taken += 1
            due += 1 / self.rate
            late_s = time.monotonic() - due
            if late_s < 0:
                time.sleep(-late_s)
            elif late_s > _FORGIVEN_S:
                due += late_s

    def _picture(self, size, flash):
        width, height = size
        stripes = (40 + (np.arange(width + height) + 2 * self._number) % 128).astype(np.uint8)
        picture = np.lib.stride_tricks.sliding_window_view(stripes, width)[:height].copy()
        if flash:
            picture[height // 2 :] = 235
        barcode.write(picture, 0, int(time.monotonic() * 1000) & 0xFFFFFFFF)
        barcode.write(picture, 1, self._number)
        self._number += 1
        return picture


def _send_at_once(_pipeline, _bin, element):
    """What is taken is sent, whatever its timestamp says; the server asks for something else when somebody comes to play."""
    if element.find_property("sync") is not None:
        element.set_property("sync", False)
        element.connect(
            "notify::sync", lambda *_: element.get_property("sync") and element.set_property("sync", False)
        )


def _push(source, data, at, duration):
    """Whether somebody still wants it."""
    buffer = Gst.Buffer.new_wrapped(data.tobytes())
    buffer.pts, buffer.duration = max(0, at), duration
    return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK
