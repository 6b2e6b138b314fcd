import { onScopeDispose, watch } from "vue";

export interface Sounds {
  /** A chime when somebody is called. */
  readonly chime: boolean;
  /** The sentence of each change, spoken. */
  readonly speech: boolean;
}

export const SILENT: Sounds = { chime: false, speech: false };

/** As the address asks: `sound=on`, `speech=on`. */
export const sounds = (asked: URLSearchParams): Sounds => ({
  chime: asked.get("sound") === "on",
  speech: asked.get("speech") === "on",
});

/**
 * Makes what happens heard.
 *
 * @param calling how many are called here; undefined while that is not sure.
 * @param said the last sentence about a change, and its language.
 */
export function useSound(
  { chime, speech }: Sounds,
  calling: () => number | undefined,
  said: () => string,
  lang: string,
) {
  const audio = chime && "AudioContext" in window ? new AudioContext() : undefined;
  // Browsers are silent until somebody touches the page; a kiosk is started with --autoplay-policy=no-user-gesture-required.
  const wake = () => void audio?.resume();
  if (audio) document.addEventListener("pointerdown", wake);

  function ring() {
    if (!audio) return;
    void audio.resume();
    tone(audio, 659, 0);
    tone(audio, 523, 0.35);
  }
  watch(calling, (now, before) => {
    if (now !== undefined && before !== undefined && now > before) ring();
  });
  watch(said, (text) => {
    if (!speech || !text || !("speechSynthesis" in window)) return;
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = lang;
    speechSynthesis.cancel(); // what is older is not news any more
    speechSynthesis.speak(utterance);
  });
  onScopeDispose(() => {
    document.removeEventListener("pointerdown", wake);
    void audio?.close();
  });
}

function tone(audio: AudioContext, hertz: number, after: number) {
  const [start, length] = [audio.currentTime + after, 0.9];
  const [source, volume] = [audio.createOscillator(), audio.createGain()];
  source.frequency.value = hertz;
  volume.gain.setValueAtTime(0.0001, start);
  volume.gain.exponentialRampToValueAtTime(0.35, start + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, start + length);
  source.connect(volume).connect(audio.destination);
  source.start(start);
  source.stop(start + length);
}
