import { AvatarError, brokenConnection } from "./errors.js";

/** The answer of `POST /avatars/key_upload`. */
export interface Granted {
  url: string;
  method: string;
  headers: Record<string, string>;
  key: string;
  expires_in: number;
  variants: string[];
  /** What the version has behind the ETag: the crop. */
  version_suffix: string;
}

/** What S3 said of a PUT that it took. */
export interface Stored {
  /** The picture's version: its ETag without quotes, and behind it the crop. */
  version: string;
  /** This upload of it; null where the bucket doesn't show it. */
  versionId: string | null;
}

/** Seconds without a byte sent, or without an answer after the last one. */
const STALLED = 60;

/**
 * Sends the picture. By XMLHttpRequest, for `fetch` tells no progress.
 *
 * Rejects with an AvatarError: `network`, or `upload_refused` with S3's status and XML.
 */
export function put(
  granted: Granted,
  picture: Blob,
  onSent: (part: number) => void,
  signal?: AbortSignal,
): Promise<Stored> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let timer: ReturnType<typeof setTimeout>;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, STALLED * 1000);
    };
    const broken = () => reject(signal?.aborted ? signal.reason : brokenConnection("put"));
    request.open(granted.method, granted.url);
    for (const [name, value] of Object.entries(granted.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      alive();
      onSent(event.loaded / (event.total || picture.size));
    };
    request.onerror = request.onabort = broken;
    request.onload = () => {
      const etag = request.getResponseHeader("ETag");
      if (request.status === 200 && etag)
        return resolve({
          version: etag.replaceAll('"', "") + granted.version_suffix,
          versionId: request.getResponseHeader("x-amz-version-id"),
        });
      reject(
        new AvatarError("upload_refused", `The upload was refused (${request.status}). Try again.`, {
          step: "put",
          status: request.status,
          body: request.responseText,
        }),
      );
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    signal?.addEventListener("abort", stop, { once: true });
    alive();
    request.send(picture);
  });
}

/** Whether another address, or the same one again, may be taken: it has expired, or S3 is busy. */
export function mayPass(error: AvatarError): boolean {
  return (
    error.code === "network" ||
    error.status === 500 ||
    error.status === 503 ||
    /expired|<Code>(ExpiredToken|RequestTimeout)</i.test(error.body)
  );
}
