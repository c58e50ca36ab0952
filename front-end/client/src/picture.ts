/**
 * A square of a picture, in parts of the upright one: its left edge in parts of the width, its top
 * edge in parts of the height, its side in parts of the shorter side. `[0.25, 0, 1]` is the centred
 * square of a picture that is twice as wide as it is high.
 */
export type Crop = readonly [x: number, y: number, side: number];

export interface ScaleOptions {
  crop?: Crop | undefined;
  /** Pixels of the longer side at most; 2048 unless given. */
  maxSide?: number | undefined;
}

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
 * Returns the picture upright, without metadata, cut to `crop` and scaled down to `maxSide`: a JPEG
 * of a JPEG or HEIC, else a WebP, or a PNG where the browser writes no WebP.
 *
 * What the browser can't show is returned as it is, as the server says best what to do about it; so
 * is an animation that begins with nothing, of which the server shows another frame.
 */
export async function scalePicture(file: Blob, options: ScaleOptions = {}): Promise<Blob> {
  const shown = await decodePicture(file);
  const scaled = shown && (await opened(shown, (picture) => drawn(picture, shown.type, options)));
  return scaled ?? file;
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
  { crop, maxSide = MAX_SIDE }: ScaleOptions,
): Promise<Blob | null> {
  const [left, top, width, height] = box(picture.naturalWidth, picture.naturalHeight, crop);
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

/** Left, top, width and height in pixels of what is sent: the crop, or all but a panorama's ends. */
export function box(width: number, height: number, crop?: Crop): [number, number, number, number] {
  const short = Math.min(width, height);
  if (!crop) {
    // The avatar is the centred square; scaled down whole, a long panorama would leave few pixels
    const [w, h] = [Math.min(width, 2 * short), Math.min(height, 2 * short)];
    return [Math.floor((width - w) / 2), Math.floor((height - h) / 2), w, h];
  }
  if (!crop.every(Number.isFinite) || crop[2] <= 0)
    throw new RangeError("crop is [x, y, side] in parts of the upright picture, side above 0.");
  const side = Math.max(1, Math.min(short, Math.round(crop[2] * short)));
  const within = (part: number, whole: number) =>
    Math.max(0, Math.min(whole - side, Math.round(part * whole)));
  return [within(crop[0], width), within(crop[1], height), side, side];
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
