// The microphone as the cloud wants it: PCM s16le, mono, 16 kHz, 100 ms at a time, whatever the device's own rate is.

const RATE = 16000, CHUNK = RATE / 10;

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;  // how many of the device's samples make one of ours
    this.at = 0;  // where the next of ours begins, in the device's samples from the start of `rest`
    this.rest = new Float32Array(0);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.loudest = 0;
  }

  process(inputs) {
    const heard = inputs[0][0];
    if (!heard) {
      return true;
    }
    const samples = new Float32Array(this.rest.length + heard.length);
    samples.set(this.rest);
    samples.set(heard, this.rest.length);
    while (this.at + this.step <= samples.length) {
      this.take(this.mean(samples, this.at, this.at + this.step));
      this.at += this.step;
    }
    const used = Math.floor(this.at);
    this.rest = samples.slice(used);
    this.at -= used;
    return true;
  }

  /** The mean of the samples between two places, which is a low-pass good enough for speech. */
  mean(samples, begin, end) {
    let sum = 0;
    for (let at = Math.floor(begin); at < end; at += 1) {
      const share = Math.min(at + 1, end) - Math.max(at, begin);
      sum += share * (samples[at] ?? 0);
    }
    return sum / (end - begin);
  }

  take(sample) {
    const bounded = Math.max(-1, Math.min(1, sample));
    this.loudest = Math.max(this.loudest, Math.abs(bounded));
    this.chunk[this.filled] = Math.round(bounded * 32767);
    this.filled += 1;
    if (this.filled === CHUNK) {
      const pcm = this.chunk.buffer;
      this.port.postMessage({pcm, loudest: this.loudest}, [pcm]);
      this.chunk = new Int16Array(CHUNK);
      this.filled = 0;
      this.loudest = 0;
    }
  }
}

registerProcessor("pcm", Pcm);
