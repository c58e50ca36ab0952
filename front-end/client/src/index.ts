import { type Options, ask, fetched } from "./api.js";
import { AvatarError, brokenConnection } from "./errors.js";
import { type Crop, type Kind, type PictureOptions, preparePicture } from "./picture.js";
import type { BannerPictures, Pictures, Profile, ProfilePage } from "./profile.js";
import { type Granted, type Stored, mayPass, put } from "./put.js";
import { sleep, withRetries } from "./retries.js";

export type { Options } from "./api.js";
export * from "./errors.js";
export {
  acceptedTypes, type Crop, decodePicture, type Kind, type PictureOptions, type Prepared, preparePicture, RATIO,
  type ScaleOptions, scalePicture,
} from "./picture.js";
export * from "./profile.js";

/** How far an upload is: first the picture is scaled, then sent (`sent` grows to 1), then processed. */
export interface Progress {
  phase: "preparing" | "sending" | "processing";
  /** 0 to 1. */
  sent: number;
}

export interface UploadOptions extends PictureOptions {
  onProgress?: ((progress: Progress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface CropOptions {
  crop: Crop;
  /** The version of the picture for which the crop was chosen: no other one is cropped. */
  version?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** What is known of a picture before its outcome is. */
interface Awaited extends Stored {
  key: string;
  variants: string[];
}

/** A picture that S3 has taken; what becomes of it isn't known yet. */
export interface Sent extends Awaited {
  /** The picture as it was sent; another crop is in parts of this one. */
  picture: Blob;
}

/** A picture that is an avatar now. */
export interface Avatar extends Pictures {
  version: string;
}

/** A picture that is a banner now. */
export interface Banner extends BannerPictures {
  version: string;
}

/** An avatar, or a banner, that this page has sent. */
export type Uploaded<Shown = Avatar> = Shown & {
  /** The picture as it was sent; another crop is in parts of this one. */
  picture: Blob;
};

export interface Client {
  /**
   * Scales a picture, sends it, and waits until it is the user's avatar.
   *
   * Rejects with an AvatarError, or with the signal's reason.
   */
  uploadAvatar(file: Blob, options?: UploadOptions): Promise<Uploaded>;
  /** The first half of uploadAvatar: scales the picture and sends it. */
  sendAvatar(file: Blob, options?: UploadOptions): Promise<Sent>;
  /**
   * Shows another part of the picture that the user sent last, without sending it again, and waits
   * until that is the avatar.
   */
  cropAvatar(options: CropOptions): Promise<Avatar>;
  /** Removes the user's avatar. */
  removeAvatar(signal?: AbortSignal): Promise<void>;
  /** As uploadAvatar, of the picture above the profile. */
  uploadBanner(file: Blob, options?: UploadOptions): Promise<Uploaded<Banner>>;
  cropBanner(options: CropOptions): Promise<Banner>;
  /** Removes the user's banner; returns the one that all have. */
  removeBanner(signal?: AbortSignal): Promise<BannerPictures>;
  /** Reads the profile of a handle, with a page of its activities. */
  getProfile(handle: string, cursor?: string | null, signal?: AbortSignal): Promise<ProfilePage>;
  /** Changes the user's own name and bio. */
  updateProfile(
    change: { display_name: string; bio?: string | null },
    signal?: AbortSignal,
  ): Promise<Profile>;
}

/** Seconds: before the first look for the outcome, between looks (the CDN keeps a 404 for 5), in all. */
const FIRST_LOOK = 1.5;
const NEXT_LOOK = 3;
const LONGEST = 90;
/** The variant that profiles name. */
const STABLE = { avatar: "512.jpg", banner: "1500x500.jpg" };
/** What a request says of a kind: nothing of an avatar, as an older API knows no other. */
const ofKind = (kind: Kind) => kind !== "avatar" && { kind };
const segments = (key: string) => key.split("/").map(encodeURIComponent).join("/");

/** Returns what talks to one deployment as one user. */
export function createClient(given: Options): Client {
  const trimmed = (url: string) => url.replace(/\/+$/, "");
  const options = { ...given, apiUrl: trimmed(given.apiUrl), assetsUrl: trimmed(given.assetsUrl) };

  async function send(kind: Kind, file: Blob, upload: UploadOptions): Promise<Sent> {
    const { signal, onProgress } = upload;
    signal?.throwIfAborted();
    onProgress?.({ phase: "preparing", sent: 0 });
    const { picture, crop } = await preparePicture(file, upload, kind);
    signal?.throwIfAborted();
    onProgress?.({ phase: "sending", sent: 0 });
    // A picture that was sent as it is has the name and the type that it came with
    const name = picture === file ? (file as File).name : undefined;
    const body = {
      ...(name?.includes(".") && { extension: name.split(".").pop()?.slice(0, 40) }),
      ...(picture.type && { type: picture.type.slice(0, 100) }),
      size: picture.size,
      ...(crop && { crop }),
      ...ofKind(kind),
    };
    let granted: (Granted & { until: number }) | undefined;
    return withRetries(async () => {
      if (!granted || Date.now() > granted.until) {
        const answer = await ask<Granted>(options, "ask", "POST", "/avatars/key_upload", body, signal);
        // An upload must begin within this time; a second is lost on the way
        granted = { ...answer, until: Date.now() + (answer.expires_in - 1) * 1000 };
      }
      try {
        const report = (sent: number) => onProgress?.({ phase: "sending", sent });
        const stored = await put(granted, picture, report, signal);
        return { value: { ...stored, key: granted.key, variants: granted.variants, picture } };
      } catch (error) {
        if (!(error instanceof AvatarError) || !mayPass(error)) throw error;
        if (error.code !== "network") granted = undefined;
        return { error };
      }
    }, signal);
  }

  async function outcome(kind: Kind, sent: Awaited, signal?: AbortSignal): Promise<Avatar & Banner> {
    const of = (folder: string) => `${options.assetsUrl}/${folder}/${segments(sent.key)}/${encodeURIComponent(sent.version)}`;
    const made = Object.fromEntries(sent.variants.map((name) => [name, `${of("variants")}/${encodeURIComponent(name)}`]));
    const first = (made[STABLE[kind]] ?? Object.values(made)[0])!;
    const rejected = `${of("rejections")}.json`;
    const waiting = new Set([first, ...Object.values(made)]);
    const fresh = { cache: "no-store" } as const;
    const deadline = Date.now() + LONGEST * 1000;
    let offline: unknown;
    for (let wait = FIRST_LOOK; Date.now() < deadline; wait = NEXT_LOOK) {
      await sleep(wait, signal);
      try {
        // The first one says that the picture is good; the others follow it
        for (const url of waiting) {
          if (!(await fetched("outcome", url, { ...fresh, method: "HEAD" }, signal)).ok) break;
          waiting.delete(url);
        }
        // null, so that it takes the place of the one before in a profile
        if (!waiting.size) {
          const shown = { [`${kind}_url`]: first, [`${kind}_variants`]: made, [`${kind}_placeholder`]: null };
          return { version: sent.version, ...shown } as Avatar & Banner;
        }
        const refusal = await fetched("outcome", rejected, fresh, signal);
        const reason = refusal.ok ? await refusal.json() : null;
        offline = undefined;
        // One of an earlier upload of the same bytes says nothing of this one
        if (reason && [reason.version_id, null].includes(sent.versionId))
          throw new AvatarError(reason.code, reason.message, { step: "outcome", status: 200, body: JSON.stringify(reason) });
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof AvatarError && error.code !== "network") throw error;
        offline = error;
      }
    }
    if (offline) throw brokenConnection("outcome", offline);
    throw new AvatarError("pending", "The picture has arrived and is still being processed. Look again later.", { step: "outcome" });
  }

  async function upload(kind: Kind, file: Blob, given: UploadOptions): Promise<Uploaded<Avatar & Banner>> {
    const sent = await send(kind, file, given);
    given.onProgress?.({ phase: "processing", sent: 1 });
    return { ...(await outcome(kind, sent, given.signal)), picture: sent.picture };
  }

  async function crop(kind: Kind, { crop, version, signal }: CropOptions): Promise<Avatar & Banner> {
    type Answer = { key: string; version: string; version_id: string | null; variants: string[] };
    const answer = await ask<Answer>(options, "ask", "POST", "/avatars/crop", { crop, version, ...ofKind(kind) }, signal);
    return outcome(kind, { ...answer, versionId: answer.version_id }, signal);
  }

  return {
    sendAvatar: (file, given = {}) => send("avatar", file, given),
    uploadAvatar: (file, given = {}) => upload("avatar", file, given),
    uploadBanner: (file, given = {}) => upload("banner", file, given),
    cropAvatar: (given) => crop("avatar", given),
    cropBanner: (given) => crop("banner", given),
    async removeAvatar(signal) {
      await ask(options, "remove", "DELETE", "/avatars", undefined, signal);
    },
    async removeBanner(signal) {
      await ask(options, "remove", "DELETE", "/avatars?kind=banner", undefined, signal);
      return { banner_url: `${options.assetsUrl}/banners/banner.jpg`, banner_variants: {}, banner_placeholder: null };
    },
    getProfile(handle, cursor, signal) {
      const page = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
      return ask(options, "profile", "GET", `/api/activities/${encodeURIComponent(handle)}${page}`, undefined, signal);
    },
    updateProfile(change, signal) {
      return ask(options, "profile", "POST", "/api/profile/update", change, signal);
    },
  };
}
