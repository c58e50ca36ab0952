/** An avatar is a square; a banner, the picture above a profile, is three times as wide as high. */
export type Kind = "avatar" | "banner";

/** How many times as wide as high a picture of a kind is. */
export const RATIO: Readonly<Record<Kind, number>> = { avatar: 1, banner: 3 };

/**
 * A part of a picture, in parts of the upright one: its left edge in parts of the width, its top edge
 * in parts of the height, its width in parts of the widest such part; three numbers from 0 to 1. Of an
 * avatar, which is a square, `[0.25, 0, 1]` is the middle of a picture that is twice as wide as high.
 */
export type Crop = readonly [x: number, y: number, side: number];

export interface ScaleOptions {
  /** Pixels of the longer side at most; 2048 unless given. */
  maxSide?: number | undefined;
}

export interface PictureOptions extends ScaleOptions {
  /** What is shown of the picture; the largest part around its centre unless given. */
  crop?: Crop | undefined;
}

/** What is sent: a picture, and what is shown of it, in parts of that picture. */
export interface Prepared {
  picture: Blob;
  crop: Crop | undefined;
}

/** Left, top, width and height in pixels. */
type Box = [left: number, top: number, width: number, height: number];

const MAX_SIDE = 2048;

/**
 * What to write into `accept` of an `<input type="file">`. Safari hands over a JPEG instead of a HEIC
 * if HEIC isn't named, and JPEG first; elsewhere HEIC is named, for it is decoded here.
 */
export function acceptedTypes(): string {
  const types = "image/jpeg,image/png,image/webp,image/gif,image/avif";
  return navigator.vendor.startsWith("Apple") ? types : `${types},image/heic,image/heif,.heic,.heif`;
}

/**
 * Returns a picture that this browser can show: the same one, or a JPEG of a HEIC. Null if it can't
 * be shown.
 */
export async function decodePicture(file: Blob): Promise<Blob | null> {
  if (await opened(file, () => true)) return file;
  if (!(await isHeic(file))) return null;
  try {
    const { heicTo } = await import("heic-to/csp"); // 3 MB, so only now
    return await heicTo({ blob: file, type: "image/jpeg", quality: 0.95 });
  } catch {
    return null;
  }
}

/**
 * Returns the picture upright, without metadata, and scaled down to `maxSide`: a JPEG of a JPEG or
 * HEIC, else a WebP, or a PNG where the browser writes no WebP.
 *
 * What the browser can't show is returned as it is, as the server says best what to do about it; so
 * is an animation that begins with nothing, of which the server shows another frame.
 */
export const scalePicture = (file: Blob, { maxSide }: ScaleOptions = {}): Promise<Blob> =>
  scaled(file, maxSide, (width, height) => [0, 0, width, height]);

/**
 * Returns what is sent of a picture: scaled as by `scalePicture`, without what is so far from the crop
 * that the crop would have too few pixels beside it, and the crop in parts of that.
 */
export async function preparePicture(
  file: Blob,
  { crop, maxSide }: PictureOptions = {},
  kind: Kind = "avatar",
): Promise<Prepared> {
  let within = crop && clean(crop);
  const picture = await scaled(file, maxSide, (width, height) => {
    const box = sentBox(width, height, within, RATIO[kind]);
    within &&= partsOf(box, width, height, within, RATIO[kind]);
    return box;
  });
  // What couldn't be drawn is sent whole
  return { picture, crop: crop && (picture === file ? clean(crop) : within) };
}

async function scaled(file: Blob, maxSide = MAX_SIDE, choose: (width: number, height: number) => Box): Promise<Blob> {
  const shown = await decodePicture(file);
  return (
    (shown &&
      (await opened(shown, (picture) =>
        drawn(picture, shown.type, choose(picture.naturalWidth, picture.naturalHeight), maxSide),
      ))) ??
    file
  );
}

/** Calls `use` with the decoded picture; returns null if the browser can't decode it. */
async function opened<T>(file: Blob, use: (picture: HTMLImageElement) => T): Promise<T | null> {
  const url = URL.createObjectURL(file);
  try {
    const picture = new Image();
    await new Promise((resolve, reject) => {
      picture.onload = resolve;
      picture.onerror = reject;
      picture.src = url;
    }).catch(() => null);
    return picture.naturalWidth ? await use(picture) : null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function drawn(
  picture: HTMLImageElement,
  type: string,
  [left, top, width, height]: Box,
  maxSide: number,
): Promise<Blob | null> {
  const scale = Math.min(1, maxSide / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left, top, width, height, 0, 0, canvas.width, canvas.height);
  const isJpeg = type === "image/jpeg";
  if (!isJpeg && isEmpty(canvas)) return null;
  return new Promise((resolve) =>
    isJpeg ? canvas.toBlob(resolve, type, 0.92) : canvas.toBlob(resolve, "image/webp", 0.95),
  );
}

/** The crop as the API takes it: three numbers from 0 to 1. */
function clean(crop: Crop): Crop {
  if (!crop.every(Number.isFinite) || crop[2] <= 0)
    throw new RangeError("crop is [x, y, side] in parts of the upright picture, side above 0.");
  const part = (value: number, least = 0) => Math.min(1, Math.max(least, value));
  return [part(crop[0]), part(crop[1]), part(crop[2], 1e-6)];
}

/** Width and height of the part of that ratio that is as large as can be, times `part`. */
const largest = (width: number, height: number, ratio: number, part = 1): [number, number] => [
  Math.max(1, Math.round(Math.min(width, height * ratio) * part)),
  Math.max(1, Math.round(Math.min(width / ratio, height) * part)),
];

/** A crop in pixels, rounded as the API rounds. */
function pixels(width: number, height: number, [x, y, part]: Crop, ratio: number): Box {
  const [w, h] = largest(width, height, ratio, part);
  return [Math.min(Math.round(width * x), width - w), Math.min(Math.round(height * y), height - h), w, h];
}

/**
 * What is sent: all of the picture, but for what is far from the crop. Scaled down whole, a long
 * panorama, or one face of many, would leave few pixels of what is shown: so a crop has at least a
 * quarter of the longer side, and what is shown without one half of it.
 */
export function sentBox(width: number, height: number, crop?: Crop, ratio = 1): Box {
  const [across, down] = largest(width, height, ratio);
  const shown: Box = crop
    ? pixels(width, height, crop, ratio)
    : [(width - across) / 2, (height - down) / 2, across, down];
  const times = crop ? 4 : 2;
  const [w, h] = [Math.min(width, shown[2] * times), Math.min(height, shown[3] * times)];
  const start = (at: number, whole: number, side: number, sent: number) =>
    Math.max(0, Math.min(whole - sent, Math.floor(at + (side - sent) / 2)));
  return [start(shown[0], width, shown[2], w), start(shown[1], height, shown[3], h), w, h];
}

/** The same crop in parts of a box of the picture. */
export function partsOf(box: Box, width: number, height: number, crop: Crop, ratio = 1): Crop {
  const [left, top, w, h] = box;
  if (w === width && h === height) return crop;
  const [x, y, across] = pixels(width, height, crop, ratio);
  return [(x - left) / w, (y - top) / h, across / Math.min(w, h * ratio)];
}

/** Whether nothing can be seen. */
function isEmpty(canvas: HTMLCanvasElement): boolean {
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  const context = small.getContext("2d")!;
  context.drawImage(canvas, 0, 0, 32, 32);
  return context.getImageData(0, 0, 32, 32).data.every((value, index) => index % 4 < 3 || !value);
}

/** Whether the bytes are those of a HEIC, whatever name or type they have. */
export async function isHeic(file: Blob): Promise<boolean> {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(4, 64).arrayBuffer()));
  return /^ftyp(he[iv][cxms]|mif1|msf1)/.test(head) && !/avi[fs]/.test(head);
}
