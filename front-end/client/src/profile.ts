/** Where an avatar's pictures are: what a profile and an upload have in common. */
export interface Pictures {
  avatar_url: string;
  /** Addresses by name, such as `128.webp`; none without an avatar. */
  avatar_variants: Readonly<Record<string, string>>;
}

/** Initials, on a colour of the user's own: a hue of 0 to 359 degrees. */
export interface DefaultAvatar {
  initials: string;
  hue: number;
}

/** A user's profile, as the API gives it. */
export interface Profile extends Pictures {
  uuid: string;
  cognito_user_uuid: string;
  handle: string;
  display_name: string;
  bio: string | null;
  cruds_count: number;
  /** What was shown of the picture that was sent: x, y and side, in parts of it. */
  avatar_crop: [x: number, y: number, side: number] | null;
  /** A BlurHash of the avatar, to be drawn while it loads. */
  avatar_placeholder: string | null;
  /** What stands for a user without a picture. */
  default: DefaultAvatar;
  /** The picture above the profile, where the deployment has one. */
  banner_url?: string;
}

export interface Activity {
  uuid: string;
  handle: string;
  display_name: string;
  message: string;
  replies_count: number;
  reposts_count: number;
  likes_count: number;
  reply_to_activity_uuid: string | null;
  expires_at: string | null;
  created_at: string;
}

/** A profile with a page of its activities, newest first. */
export interface ProfilePage {
  profile: Profile;
  activities: Activity[];
  next_cursor: string | null;
}

/** One picture of an avatar: `side` pixels wide and high. */
export interface Variant {
  side: number;
  url: string;
}

// Of one size: the smallest file that every browser shows, then what it may not show
const FORMATS = ["webp", "jpg", "avif"];

/** What was really made of an avatar, one picture for each size, the smallest first. */
export function avatarVariants({ avatar_variants }: Pictures): Variant[] {
  const best = new Map<number, [rank: number, url: string]>();
  for (const [name, url] of Object.entries(avatar_variants)) {
    const [side = 0, rank = -1] = [parseInt(name), FORMATS.indexOf(name.split(".")[1] ?? "")];
    const known = best.get(side);
    if (side > 0 && rank >= 0 && (!known || rank < known[0])) best.set(side, [rank, url]);
  }
  return [...best].map(([side, [, url]]) => ({ side, url })).sort((a, b) => a.side - b.side);
}

/**
 * Returns the address of the smallest picture that fills `size` CSS pixels on this screen, or of the
 * largest; without an avatar, that of the default picture.
 */
export function avatarUrl(pictures: Pictures, size: number, pixelRatio = globalThis.devicePixelRatio || 1): string {
  const variants = avatarVariants(pictures);
  const fitting = variants.find(({ side }) => side >= size * pixelRatio) ?? variants.at(-1);
  return fitting?.url ?? pictures.avatar_url;
}
