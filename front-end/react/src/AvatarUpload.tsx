import type { Avatar as Uploaded, Client } from "@avatar-ops/client";
import type { ReactElement } from "react";
import { Avatar, type Person, type Shape } from "./Avatar.js";
import { PictureUpload, type UploadProps } from "./PictureUpload.js";

export interface AvatarUploadProps extends UploadProps {
  client: Client;
  /** Whose picture it is; what is shown until there is another. */
  profile: Person;
  shape?: Shape;
  /** CSS pixels; 128 unless given. */
  size?: number;
  /** Called with each new avatar, and with the same one in another crop. */
  onUploaded?: (avatar: Uploaded) => void;
  /** Where it is given, the picture can be removed. */
  onRemoved?: () => void;
}

/** Chooses, crops and sends a new avatar: from a file, a camera, by dropping or pasting. */
export function AvatarUpload({ client, profile, shape = "round", size = 128, ...more }: AvatarUploadProps): ReactElement {
  return (
    <PictureUpload
      kind="avatar" shape={shape} hasPicture={Object.keys(profile.avatar_variants).length > 0}
      does={{ upload: client.uploadAvatar, crop: client.cropAvatar, remove: client.removeAvatar }}
      {...more}
    >
      <Avatar profile={profile} size={size} shape={shape} />
    </PictureUpload>
  );
}
