import { decode } from "blurhash";
import type { ReactElement } from "react";

const SIDE = 32;

function draw(canvas: HTMLCanvasElement | null, hash: string): void {
  const context = canvas?.getContext("2d");
  if (!context) return;
  const image = context.createImageData(SIDE, SIDE);
  try {
    image.data.set(decode(hash, SIDE, SIDE));
  } catch {
    return; // a hash of another kind: the colour stays
  }
  context.putImageData(image, 0, 0);
}

/** What a BlurHash shows of a picture that is loading. */
export function Placeholder({ hash }: { hash: string }): ReactElement {
  return <canvas key={hash} aria-hidden width={SIDE} height={SIDE} ref={(canvas) => draw(canvas, hash)} />;
}
