"""Offers as real peers write them, with addresses and keys of our own."""

from __future__ import annotations

BARESIP = b"""v=0
o=- 3890437287 2054387210 IN IP4 192.0.2.20
s=-
c=IN IP4 192.0.2.20
t=0 0
a=tool:baresip 1.0.0
m=audio 22334 RTP/AVP 96 9 0 8 101
b=AS:125
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=1;sprop-stereo=1
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:22335
a=sendrecv
a=label:1
a=rtcp-rsize
a=ssrc:3482711220 cname:sip:alice@192.0.2.20
a=ptime:20
""".replace(b"\n", b"\r\n")

BARESIP_SDES = BARESIP.replace(b"RTP/AVP", b"RTP/SAVP").replace(
    b"a=ptime:20\r\n",
    b"a=ptime:20\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2\r\n",
)

BARESIP_DTLS = BARESIP.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF").replace(
    b"a=ptime:20\r\n",
    b"a=ptime:20\r\n"
    b"a=fingerprint:SHA-256 "
    b"4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab:4a:ad:b9:b1:3f:82:18:3b:54:02:12:df\r\n"
    b"a=setup:actpass\r\n"
    b"a=rtcp-mux\r\n",
)

LINPHONE = b"""v=0
o=bob 2811 1234 IN IP4 192.0.2.30
s=Talk
c=IN IP4 192.0.2.30
t=0 0
a=ice-pwd:1a2b3c4d5e6f708192a3b4c5
a=ice-ufrag:9b36a1c2
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
a=record:off
m=audio 56065 RTP/AVPF 96 97 98 0 8 18 101 99 100
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 speex/16000
a=fmtp:97 vbr=on
a=rtpmap:98 speex/8000
a=fmtp:98 vbr=on
a=fmtp:18 annexb=yes
a=rtpmap:101 telephone-event/48000
a=rtpmap:99 telephone-event/16000
a=rtpmap:100 telephone-event/8000
a=candidate:1 1 UDP 2130706303 192.0.2.30 56065 typ host
a=candidate:1 2 UDP 2130706302 192.0.2.30 56066 typ host
a=rtcp-fb:* trr-int 5000
a=rtcp-fb:* ccm tmmbr
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
a=crypto:2 AES_CM_256_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Ng==
m=video 60372 RTP/AVPF 102 103
a=rtpmap:102 VP8/90000
a=rtpmap:103 H264/90000
a=fmtp:103 profile-level-id=42801F
a=candidate:1 1 UDP 2130706303 192.0.2.30 60372 typ host
a=candidate:1 2 UDP 2130706302 192.0.2.30 60373 typ host
a=rtcp-fb:* trr-int 5000
a=rtcp-fb:102 nack pli
a=rtcp-fb:103 ccm fir
""".replace(b"\n", b"\r\n")

CHROMIUM = b"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS f1f2f3
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4Zcd
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlgh
a=ice-options:trickle
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:f1f2f3 a1
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1409072331 cname:Xh2
a=ssrc:1409072331 msid:f1f2f3 a1
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 106 107
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4Zcd
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlgh
a=ice-options:trickle
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF
a=setup:actpass
a=mid:1
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:106 H264/90000
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:107 rtx/90000
a=fmtp:107 apt=106
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:4Zcd
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlgh
a=ice-options:trickle
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
""".replace(b"\n", b"\r\n")

# JsSIP hands out what the browser gives it once its candidates are gathered; here a browser that hides its addresses.
JSSIP = b"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7287373451265213581 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 54077 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 198.51.100.7
a=candidate:0 1 UDP 2122252543 5a1b9d9e-7c7c-4b1c-8f3e-0f2b1c3d4e5f.local 54077 typ host
a=candidate:1 1 UDP 1686052863 198.51.100.7 54077 typ srflx raddr 0.0.0.0 rport 0
a=sendrecv
a=end-of-candidates
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:b23e8fe8f2b7a6c1b5b1c4d7e2f30a91
a=ice-ufrag:d2f8a1c0
a=mid:0
a=msid:{9e1c} {77ab}
a=rtcp:54077 IN IP4 198.51.100.7
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:2655508255 cname:{735484ea}
""".replace(b"\n", b"\r\n")

# A desk telephone of long ago: no session name, bare line feeds, no rtpmap, the user's name with a space, no end.
OLD_PHONE = b"""v=0
o=Front Desk 3747 3747 IN IP4 192.0.2.40
c=IN IP4 192.0.2.40
m=audio 2222 RTP/AVP 0 8 18 101
y=0815
a=rtpmap:101 telephone-event/8000
a=X-nat:0
a=silenceSupp:off - - - -"""

SAMPLES = {
    "baresip": BARESIP,
    "baresip with SDES": BARESIP_SDES,
    "baresip with DTLS": BARESIP_DTLS,
    "linphone": LINPHONE,
    "Chromium": CHROMIUM,
    "JsSIP": JSSIP,
    "old phone": OLD_PHONE,
}
