"""Addresses that hold a secret, each in another place or shape. Nobody answers at any of them."""

from __future__ import annotations

SECRET = "SECRETab99"
_HOST = "127.0.0.1:1"

SECRET_ADDRESSES = [
    address.format(secret=SECRET, host=_HOST)
    for address in (
        "rtsp://user:{secret}@{host}/x",
        "rtsp://{secret}@{host}/x",
        "rtsp://:{secret}@{host}/x",
        "RTSP://USER:{secret}@{host}/X",
        "rtsps://user:{secret}@{host}/x",
        "rtsp://user:p@{secret}@{host}/x",
        "rtsp://user:p/{secret}@{host}/x",
        "rtsp://user:p?{secret}@{host}/x",
        "rtsp://user:p#{secret}@{host}/x",
        "rtsp://user:[{secret}@{host}/x",
        "rtsp://us%40er:p%2F{secret}@{host}/x",
        "rtsp://user:{secret}@[::1]:1/x",
        "rtsp://{host}/user=admin&password={secret}&channel=1",
        "rtsp://{host}/user=admin_password={secret}_channel=1_stream=0.sdp?real_stream",
        "rtsp://{host}/user%3Dadmin%26password%3D{secret}",
        "rtsp://{host}/live;user=admin;pwd={secret}",
        "rtsp://{host}/admin:{secret}/live",
        "rtsp://{host}/token/{secret}/live",
        "rtsps://{host}/AbCd{secret}Ef",
        "rtsp://{host}/x?token={secret}",
        "rtsp://{host}/cam/realmonitor?channel=1&authbasic={secret}",
        "http://user:{secret}@{host}/x.m3u8",
        "https://{host}/x.m3u8?signature={secret}#{secret}",
        "http://{host}/snapshot.cgi?usr=admin&pwd={secret}",
        "http://{host}/http://user:{secret}@camera/x",
        "rtmp://{host}/app/{secret}",
        "rtmp://{host}/app/{secret}/",
        "rtmps://user:{secret}@{host}/app/instance/{secret}?{secret}",
        "rtmp://{host}/app/name token={secret} live=1",
        "srt://{host}?passphrase={secret}&mode=caller",
        "srt://{host}?streamid=#!::u=me,s={secret}",
        "tcp://user:{secret}@{host}",
    )
]
