// The console's own upload from the browser: sends a picture as the application's front end does, and
// tells the console what became of it.
import { AvatarError, acceptedTypes, createClient } from "@avatar-ops/client";

interface Component {
  data: { api_url: string; assets_url: string; token: string };
  parentElement: HTMLElement | ShadowRoot;
  setTriggerValue: (name: "uploaded" | "failed", value: object) => void;
}

export default function ({ data, parentElement, setTriggerValue }: Component): () => void {
  const find = <T extends HTMLElement>(selector: string) => parentElement.querySelector(selector) as T;
  const input = find<HTMLInputElement>("#file");
  const drop = find<HTMLElement>(".drop");
  const words = find<HTMLElement>("#words");
  const bar = find<HTMLProgressElement>("#progress");
  const picture = find<HTMLImageElement>("#picture");
  const client = createClient({
    apiUrl: data.api_url, assetsUrl: data.assets_url, accessToken: () => data.token,
  });
  input.accept = acceptedTypes();
  picture.onerror = () => {
    picture.hidden = true; // a HEIC, where the browser shows none
  };

  const send = async (file: File) => {
    input.disabled = true;
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    picture.hidden = false;
    try {
      const { version } = await client.sendAvatar(file, {
        onProgress: ({ phase, sent }) => {
          bar.hidden = phase !== "sending";
          bar.value = sent;
          words.textContent =
            phase === "sending" ? `Uploading ${file.name}: ${Math.round(100 * sent)} %` : "Preparing …";
        },
      });
      words.textContent = `${file.name} is uploaded.`;
      setTriggerValue("uploaded", { version, size: file.size });
    } catch (error) {
      if (!(error instanceof AvatarError)) throw error;
      bar.hidden = true;
      words.textContent = "That did not work; see below.";
      const { step, status, body, message } = error;
      setTriggerValue("failed", {
        step: step === "put" ? "put" : "ask", status, text: (body || message).slice(0, 2000), origin: location.origin,
      });
    } finally {
      input.disabled = false;
    }
  };

  const start = (file?: File) => file && !input.disabled && void send(file);
  input.onchange = () => {
    start(input.files?.[0]);
    input.value = "";
  };
  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    start(event.dataTransfer?.files[0]);
  };
  return () => URL.revokeObjectURL(picture.src);
}
