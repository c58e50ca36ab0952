import type { Crop } from "@avatar-ops/client";
import { type ReactElement, useEffect, useId, useRef, useState } from "react";
import Cropper, { type Area, type MediaSize } from "react-easy-crop";
import type { Shape } from "./Avatar.js";
import { type Texts, filled } from "./texts.js";

export interface CropDialogProps {
  /** Address of the upright picture. */
  url: string;
  /** How many times as wide as high the part is. */
  ratio: number;
  shape: Shape;
  texts: Texts;
  onCrop: (crop: Crop) => void;
  onCancel: () => void;
}

const MAX_ZOOM = 4;
const KEY_STEP = 8;

/** Lets the user choose a part of the picture. */
export default function CropDialog({ url, ratio, shape, texts, onCrop, onCancel }: CropDialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [place, setPlace] = useState({ x: 0, y: 0 });
  const [zoom, setZoom] = useState(1);
  const [size, setSize] = useState({ naturalWidth: 1, naturalHeight: 1 });
  const [area, setArea] = useState<Area>();

  useEffect(() => dialog.current?.showModal(), []);

  const start = (media: MediaSize) => {
    setSize(media);
    // Heads are in the upper part of a portrait
    setPlace({ x: 0, y: ratio === 1 ? Math.max(0, media.height - media.width) / 4 : 0 });
  };
  const widest = Math.min(size.naturalWidth, size.naturalHeight * ratio);
  const crop: Crop | undefined = area && [
    area.x / 100, area.y / 100, ((area.width / 100) * size.naturalWidth) / widest,
  ];
  const percent = (part: number) => Math.round(part * 100);
  return (
    <dialog
      ref={dialog}
      className="ao-dialog"
      aria-labelledby={`${id}title`}
      onCancel={(event) => {
        event.preventDefault();
        onCancel();
      }}
    >
      <h2 id={`${id}title`}>{texts.cropTitle}</h2>
      <div className="ao-crop">
        <Cropper
          image={url}
          crop={place}
          zoom={zoom}
          maxZoom={MAX_ZOOM}
          aspect={ratio}
          cropShape={shape === "round" ? "round" : "rect"}
          showGrid={false}
          keyboardStep={KEY_STEP}
          disableAutomaticStylesInjection
          onCropChange={setPlace}
          onZoomChange={setZoom}
          onCropAreaChange={setArea}
          onMediaLoaded={start}
          mediaProps={{ alt: "" }}
          cropperProps={{ role: "application", "aria-label": texts.cropArea, "aria-describedby": `${id}help` }}
        />
      </div>
      <p id={`${id}help`} className="ao-hint">{texts.cropHelp}</p>
      <label className="ao-zoom">
        {texts.zoom}
        <input
          type="range" min={1} max={MAX_ZOOM} step={0.05} value={zoom}
          onChange={(event) => setZoom(event.target.valueAsNumber)}
        />
      </label>
      <p role="status" className="ao-unseen">
        {crop &&
          filled(texts.cropPosition, { left: percent(crop[0]), top: percent(crop[1]), side: percent(crop[2]) })}
      </p>
      <div className="ao-buttons">
        <button type="button" className="ao-button" onClick={onCancel}>{texts.cancel}</button>
        <button
          type="button" className="ao-button ao-primary" disabled={!crop}
          onClick={() => crop && onCrop(crop)}
        >
          {texts.use}
        </button>
      </div>
    </dialog>
  );
}
