// JsSIP as a phone without a browser: one JSON object a line comes in as a command and goes out as an event.
// The media of WebRTC is not there; what stands in for it gives fixed descriptions, so that calls are signalled.
'use strict';
const readline = require('readline');
const fs = require('fs');

const settings = JSON.parse(process.argv[2]);
const modules = settings.modules;
const WS = require(`${modules}/ws`);

const ca = fs.readFileSync(settings.ca);
global.window = global;
global.WebSocket = class extends WS {
  constructor(url, protocol) { super(url, protocol, { ca }); }
};

const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);

class Connection extends EventTarget {
  constructor() { super(); this.iceGatheringState = 'complete'; this.signalingState = 'stable'; this.iceConnectionState = 'new'; }
  describe(type) {
    const sdp = ['v=0', `o=${settings.user} 1 1 IN IP4 127.0.0.1`, 's=-', 't=0 0', 'm=audio 9 UDP/TLS/RTP/SAVPF 0',
      'c=IN IP4 0.0.0.0', 'a=rtpmap:0 PCMU/8000', `a=setup:${type === 'offer' ? 'actpass' : 'active'}`, 'a=mid:0',
      'a=sendrecv', 'a=rtcp-mux', ''].join('\r\n');
    return Promise.resolve({ type, sdp });
  }
  createOffer() { return this.describe('offer'); }
  createAnswer() { return this.describe('answer'); }
  setLocalDescription(description) { this.localDescription = description; return Promise.resolve(); }
  setRemoteDescription(description) {
    this.remoteDescription = description;
    say('remote', { sdp: description.sdp });
    return Promise.resolve();
  }
  addTrack() {}
  getSenders() { return []; }
  close() { this.signalingState = 'closed'; }
}
global.RTCPeerConnection = Connection;
global.RTCSessionDescription = class { constructor(from) { Object.assign(this, from); } };

const JsSIP = require(`${modules}/jssip`);
const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(settings.url)],
  uri: `sip:${settings.user}@${settings.domain}`,
  password: settings.password,
  register_expires: 120,
  session_timers: false,
});

let session = null;
const response = (e) => (e.response ? { status: e.response.status_code, reason: e.response.reason_phrase } : { status: 0, reason: e.cause });
const outcome = (what) => ({ eventHandlers: {
  succeeded: (e) => say(`${what} succeeded`, { ...response(e), allow: e.response.getHeader('Allow') || '' }),
  failed: (e) => say(`${what} failed`, response(e)),
} });

ua.on('connected', () => say('connected'));
ua.on('disconnected', (e) => say('disconnected', { error: Boolean(e && e.error) }));
ua.on('registered', (e) => say('registered', { contacts: e.response.getHeaders('Contact') }));
ua.on('unregistered', () => say('unregistered'));
ua.on('registrationFailed', (e) => say('registrationFailed', response(e)));
ua.on('newMessage', (e) => {
  if (e.originator !== 'remote') return;
  say('message', { from: e.request.from.uri.toString(), body: e.request.body, type: e.request.getHeader('Content-Type'), vias: e.request.getHeaders('Via').length });
});
ua.on('newOptions', (e) => {
  if (e.originator !== 'remote') return;
  say('options', { from: e.request.from.uri.toString() });
});
ua.on('newRTCSession', (e) => {
  session = e.session;
  const incoming = e.originator === 'remote';
  session.on('progress', (p) => { if (p.originator === 'remote') say('ringing', { status: p.response.status_code }); });
  session.on('accepted', () => say('accepted'));
  session.on('confirmed', (c) => say('confirmed', { originator: c.originator }));
  session.on('ended', (c) => say('ended', { originator: c.originator, cause: c.cause }));
  session.on('failed', (c) => say('failed', { originator: c.originator, cause: c.cause, status: c.message && c.message.status_code }));
  if (incoming) say('incoming', { from: e.request.from.uri.toString() });
});

const media = { mediaStream: { getTracks: () => [] } };
const commands = {
  message: (c) => ua.sendMessage(c.to, c.body, outcome('message')),
  options: (c) => ua.sendOptions(c.to, '', outcome('options')),
  call: (c) => ua.call(c.to, media),
  answer: () => session.answer(media),
  hangup: () => session.terminate(),
  refuse: (c) => session.terminate({ status_code: c.status }),
  stop: () => {
    if (!ua.isRegistered()) process.exit(0);
    ua.on('unregistered', () => process.exit(0)); // and not when all its timers are over
    ua.stop();
  },
};
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
}).on('close', () => process.exit(0));
ua.start();
