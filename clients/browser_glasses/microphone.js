// The microphone of these glasses: PCM over the WebSocket, or Opus over WebRTC with the WebSocket for signalling.

const WANTED = {echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1};

export class Microphone {
  /** `say` sends a message, `send` a frame; `level` and `trouble` are told of what is heard and what is wrong. */
  constructor({say, send, level, trouble}) {
    this.say = say;
    this.send = send;
    this.level = level;
    this.trouble = trouble;
    this.way = "off";
    this.isWanted = false;
    this.stream = null;
    this.context = null;
    this.peer = null;
    this.servers = null;
  }

  /** Be sent as `off`, `pcm` or `webrtc`. */
  async choose(way) {
    this.way = way;
    this.close();
    if (way === "off") {
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({audio: WANTED});
      if (this.way !== way) {
        stream.getTracks().forEach((track) => track.stop());
        return;
      }
      this.stream = stream;
      await this.listen();
      this.announce();
    } catch (error) {
      this.close();
      this.trouble(`No microphone: ${error.message}`);
    }
  }

  /** Frames for the WebSocket, and the level for the meter. */
  async listen() {
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/glasses/pcm_worklet.js");
    const worklet = new AudioWorkletNode(this.context, "pcm", {numberOfOutputs: 0});
    worklet.port.onmessage = ({data: {pcm, loudest}}) => {
      this.level(loudest);
      // WebRTC wins where it stands; until then, and where it is lost, the WebSocket carries the audio.
      if (this.isWanted && this.peer?.connectionState !== "connected") {
        this.send(pcm);
      }
    };
    this.context.createMediaStreamSource(this.stream).connect(worklet);
  }

  /** Say what can be done; the cloud answers with `webrtc_ready` where it has WebRTC. */
  announce() {
    if (this.stream && this.way === "webrtc") {
      this.say({type: "webrtc_capability", supported: true, preferredCodec: "opus"});
    }
  }

  /** The cloud wants audio, or does not. */
  want(isWanted) {
    this.isWanted = isWanted;
  }

  async take(message) {
    switch (message.type) {
      case "webrtc_ready":
        this.connect(message.iceServers ?? []);
        break;
      case "webrtc_offer":
        this.connect(message.iceServers ?? [], true);
        await this.peer.setRemoteDescription({type: "offer", sdp: message.sdp});
        await this.peer.setLocalDescription();
        this.say({type: "webrtc_answer", sdp: this.peer.localDescription.sdp});
        break;
      case "webrtc_answer":
        await this.peer?.setRemoteDescription({type: "answer", sdp: message.sdp});
        break;
      case "webrtc_ice_candidate":
        await this.peer?.addIceCandidate(message);
        break;
      case "webrtc_error":
        this.trouble(`WebRTC: ${message.message ?? message.code}`);
        break;
    }
  }

  connect(iceServers, isAnswer = false) {
    this.hangUp();
    if (!this.stream) {
      return;
    }
    const peer = this.peer = new RTCPeerConnection({iceServers});
    peer.addTransceiver(this.stream.getAudioTracks()[0], {direction: "sendonly", streams: [this.stream]});
    peer.onnegotiationneeded = async () => {
      if (!isAnswer) {
        await peer.setLocalDescription();
        this.say({type: "webrtc_offer", sdp: peer.localDescription.sdp});
      }
    };
    peer.onicecandidate = ({candidate}) => {
      const {candidate: text = "", sdpMLineIndex = null, sdpMid = null} = candidate ?? {};
      this.say({type: "webrtc_ice_candidate", candidate: text, sdpMLineIndex, sdpMid});
    };
    peer.onconnectionstatechange = () => {
      if (peer === this.peer && peer.connectionState === "connected") {
        this.say({type: "webrtc_audio_start"});
      }
    };
  }

  hangUp() {
    this.peer?.close();
    this.peer = null;
  }

  close() {
    if (this.peer) {
      this.say({type: "webrtc_audio_stop"});
    }
    this.hangUp();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.stream = this.context = null;
    this.level(0);
  }
}
