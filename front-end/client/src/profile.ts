/** Where an avatar's pictures are: what a profile and an upload have in common. */
export interface Pictures {
  avatar_url: string;
  /** Addresses by name, such as `128.webp`; none without an avatar. */
  avatar_variants: Readonly<Record<string, string>>;
  /** A BlurHash of the avatar, to be drawn while it loads; an upload's isn't known yet. */
  avatar_placeholder?: string | null;
}

/** Where a banner's pictures are, likewise. */
export interface BannerPictures {
  /** Without a banner of the user's own, the one that all have. */
  banner_url: string;
  /** Addresses by name, such as `1500x500.jpg`. */
  banner_variants: Readonly<Record<string, string>>;
  banner_placeholder?: string | null;
}

/** Initials, on a colour of the user's own: a hue of 0 to 359 degrees. */
export interface DefaultAvatar {
  initials: string;
  hue: number;
}

/** A user's profile, as the API gives it. */
export interface Profile extends Pictures, BannerPictures {
  uuid: string;
  cognito_user_uuid: string;
  handle: string;
  display_name: string;
  bio: string | null;
  cruds_count: number;
  /** What was shown of the picture that was sent: x, y and side, in parts of it. */
  avatar_crop: [x: number, y: number, side: number] | null;
  avatar_placeholder: string | null;
  /** What stands for a user without a picture. */
  default: DefaultAvatar;
  /** The same of the banner, the picture above the profile. */
  banner_crop: [x: number, y: number, side: number] | null;
  banner_placeholder: string | null;
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

/** One size of a picture: `side` pixels wide. */
export interface Variant {
  side: number;
  url: string;
}

// Of one size: the smallest file that every browser shows, then what it may not show
const FORMATS = ["webp", "jpg", "avif"];

/** What was really made of an avatar, one picture for each size, the smallest first. */
export const avatarVariants = ({ avatar_variants }: Pictures): Variant[] => variants(avatar_variants);

/** What was really made of a banner, likewise. */
export const bannerVariants = ({ banner_variants }: BannerPictures): Variant[] => variants(banner_variants);

function variants(made: Readonly<Record<string, string>>): Variant[] {
  const best = new Map<number, [rank: number, url: string]>();
  for (const [name, url] of Object.entries(made)) {
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
  const made = avatarVariants(pictures);
  const fitting = made.find(({ side }) => side >= size * pixelRatio) ?? made.at(-1);
  return fitting?.url ?? pictures.avatar_url;
}
