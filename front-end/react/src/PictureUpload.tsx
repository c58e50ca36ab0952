import {
  AvatarError, type Crop, type CropOptions, type Kind, type Progress, RATIO, type UploadOptions, type Uploaded, acceptedTypes,
  decodePicture, scalePicture,
} from "@avatar-ops/client";
import {
  type ChangeEvent, type ComponentType, type DragEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState,
} from "react";
import type { Shape } from "./Avatar.js";
import type { CropDialogProps } from "./CropDialog.js";
import { type Texts, english } from "./texts.js";

/** What the uploads of both kinds have in common. */
export interface UploadProps {
  /** Whether the user chooses the part to show, and may choose again; true unless given. */
  crop?: boolean;
  /** Pixels of the longer side that is sent, at most; 2048 unless given. */
  maxSide?: number;
  texts?: Partial<Texts>;
}

export interface PictureUploadProps<Shown, Removed> extends UploadProps {
  kind: Kind;
  /** What is sent, cropped and removed with. */
  does: {
    upload: (file: Blob, options: UploadOptions) => Promise<Uploaded<Shown>>;
    crop: (options: CropOptions) => Promise<Shown>;
    remove: (signal: AbortSignal) => Promise<Removed>;
  };
  shape: Shape;
  /** Whether there is one to be removed. */
  hasPicture: boolean;
  /** What is there now. */
  children: ReactNode;
  onUploaded?: ((shown: Shown) => void) | undefined;
  onRemoved?: ((removed: Removed) => void) | undefined;
}

type State =
  | { is: "idle"; said?: string }
  | { is: "asking" }
  | { is: "cropping"; url: string; Dialog: ComponentType<CropDialogProps>; onCrop: OnCrop }
  | { is: "working"; said: string; sent?: number }
  | { is: "failed"; said: string; again?: () => void };

type OnCrop = (chosen: Crop, signal: AbortSignal) => Promise<void>;

/** A picture that was cropped and sent, which can be cropped again. */
interface Sent {
  picture: Blob;
  version: string;
}

const PREVIEW_SIDE = 1200;
// What may have passed by the next time; anything else needs another picture, or another day
const WORTH_ANOTHER_TRY = ["network", "unavailable", "unexpected", "upload_refused"];

/** Chooses, crops and sends a picture: from a file, a camera, by dropping or pasting. */
export function PictureUpload<Shown extends { version: string }, Removed>({
  kind, does, shape, hasPicture, children, crop = true, maxSide, onUploaded, onRemoved, texts: given,
}: PictureUploadProps<Shown, Removed>): ReactElement {
  const texts = { ...english, ...given };
  const [state, setState] = useState<State>({ is: "idle" });
  const [sent, setSent] = useState<Sent>();
  const [over, setOver] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const running = useRef<AbortController>(null);
  const choices = useRef<HTMLDivElement>(null);
  const hint = useId();

  const busy = state.is === "working" || state.is === "cropping";
  const url = state.is === "cropping" ? state.url : undefined;
  useEffect(() => () => { if (url) URL.revokeObjectURL(url); }, [url]);
  useEffect(() => () => running.current?.abort(), []);

  /** Does the work; what it throws is shown, and done again on demand. */
  const run = async (work: (signal: AbortSignal) => Promise<void>) => {
    const mine = new AbortController();
    running.current = mine;
    try {
      await work(mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      const known = error instanceof AvatarError;
      if (known && error.code === "held") return setState({ is: "idle", said: error.message });
      const again = !known || WORTH_ANOTHER_TRY.includes(error.code);
      setState({
        is: "failed", said: known ? error.message : texts.failed, ...(again && { again: () => void run(work) }),
      });
    }
  };

  const open = (file: Blob) =>
    run(async (signal) => {
      setState({ is: "working", said: texts.opening });
      const decoded = crop ? await decodePicture(file) : null;
      signal.throwIfAborted();
      if (!decoded) return send(file, undefined, signal);
      await ask(decoded, (chosen, signal) => send(decoded, chosen, signal), signal);
    });

  /** Shows the picture, for a part of it to be chosen. */
  const ask = async (picture: Blob, onCrop: OnCrop, signal: AbortSignal) => {
    const [{ default: Dialog }, preview] = await Promise.all([
      import("./CropDialog.js"), scalePicture(picture, { maxSide: PREVIEW_SIDE }),
    ]);
    signal.throwIfAborted();
    setState({ is: "cropping", url: URL.createObjectURL(preview), Dialog, onCrop });
  };

  const send = async (file: Blob, chosen: Crop | undefined, signal: AbortSignal) => {
    setSent(undefined);
    const onProgress = ({ phase, sent }: Progress) =>
      setState(
        phase === "sending"
          ? { is: "working", said: texts.sending, sent }
          : { is: "working", said: phase === "preparing" ? texts.opening : texts.processing },
      );
    const { picture, ...shown } = await does.upload(file, { crop: chosen, maxSide, onProgress, signal });
    arrived(shown as unknown as Shown, chosen && picture);
  };

  const cropAgain = ({ picture, version }: Sent) =>
    run(async (signal) => {
      setState({ is: "working", said: texts.opening });
      const crop: OnCrop = async (chosen, signal) => {
        setState({ is: "working", said: texts.processing });
        arrived(await does.crop({ crop: chosen, version, signal }), picture);
      };
      await ask(picture, crop, signal);
    });

  const arrived = (shown: Shown, picture: Blob | undefined) => {
    setSent(picture && { picture, version: shown.version });
    setState({ is: "idle", said: texts.uploaded });
    onUploaded?.(shown);
  };

  const remove = () =>
    run(async (signal) => {
      setState({ is: "working", said: texts.opening });
      const removed = await does.remove(signal);
      setSent(undefined);
      setState({ is: "idle", said: texts.removed });
      onRemoved?.(removed);
    });

  const cancel = () => {
    running.current?.abort();
    setState({ is: "idle" });
  };

  const take = (transfer: DataTransfer | null): boolean => {
    const file = transfer && [...transfer.files][0];
    if (file && !busy) void open(file);
    return Boolean(file);
  };
  const latest = useRef(take);
  useEffect(() => { latest.current = take; });
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      // Of several on a page the one that has the focus, else the avatar's
      const focused = document.activeElement?.closest(".ao-upload");
      if (focused ? focused !== root.current : kind !== "avatar") return;
      if (!event.defaultPrevented && latest.current(event.clipboardData)) event.preventDefault();
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, [kind]);

  // What had the focus may be gone
  const [before, now] = [useRef(state.is), state.is];
  useEffect(() => {
    if (before.current !== now && document.activeElement === document.body)
      choices.current?.querySelector("button")?.focus({ preventScroll: true });
    before.current = now;
  }, [now]);

  const picked = (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    if (file) void open(file);
    event.target.value = ""; // the same one may be chosen again
  };
  const browse = (input: HTMLInputElement | null) => {
    if (input) input.accept = acceptedTypes();
    input?.click();
  };
  const dragged = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  const left = (event: DragEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
  };
  const dropped = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (!take(event.dataTransfer) && !busy) setState({ is: "failed", said: texts.noPicture });
  };

  return (
    <div
      ref={root} className={`ao-upload ao-of-${kind}`} role="group" aria-label={texts[kind]}
      data-state={state.is} data-over={over || undefined}
      onDragEnter={dragged} onDragOver={dragged} onDragLeave={left} onDrop={dropped}
    >
      {children}
      <div className="ao-choices" ref={choices}>
        <input ref={files} type="file" hidden onChange={picked} data-testid={`${kind}-file`} />
        <input ref={camera} type="file" hidden capture={kind === "avatar" ? "user" : "environment"} onChange={picked} />
        {state.is === "asking" ? (
          // a key each, so that no button, and no focus on it, turns into another one
          <div key="asking" className="ao-buttons" role="group" aria-label={texts.removeQuestion}>
            <span>{texts.removeQuestion}</span>
            <button type="button" className="ao-button" autoFocus onClick={cancel}>{texts.keep}</button>
            <button type="button" className="ao-button ao-danger" onClick={() => void remove()}>{texts.remove}</button>
          </div>
        ) : state.is === "working" ? (
          <div key="working" className="ao-buttons">
            <button type="button" className="ao-button" onClick={cancel}>{texts.cancel}</button>
          </div>
        ) : (
          <div key="choosing" className="ao-buttons">
            <button
              type="button" className="ao-button ao-primary" aria-describedby={hint}
              onClick={() => browse(files.current)}
            >
              {texts.choose}
            </button>
            <button type="button" className="ao-button ao-camera" onClick={() => browse(camera.current)}>
              {texts.camera}
            </button>
            {sent && (
              <button type="button" className="ao-button" onClick={() => void cropAgain(sent)}>{texts.cropAgain}</button>
            )}
            {onRemoved && hasPicture && (
              <button type="button" className="ao-button" onClick={() => setState({ is: "asking" })}>{texts.remove}</button>
            )}
          </div>
        )}
        <p id={hint} className="ao-hint" hidden={busy}>{texts.hint}</p>
        {state.is === "working" && (
          <progress aria-label={state.said} {...(state.sent !== undefined && { value: state.sent })} />
        )}
        <p role="status" className="ao-said">
          {state.is === "working" || state.is === "idle" ? state.said : ""}
        </p>
        {state.is === "failed" && (
          <p role="alert" className="ao-error">
            {state.said}{" "}
            {state.again && (
              <button type="button" className="ao-button" onClick={state.again}>{texts.tryAgain}</button>
            )}
          </p>
        )}
      </div>
      {state.is === "cropping" && (
        <state.Dialog
          url={state.url} ratio={RATIO[kind]} shape={shape} texts={texts} onCancel={cancel}
          onCrop={(chosen) => void run((signal) => state.onCrop(chosen, signal))}
        />
      )}
    </div>
  );
}
