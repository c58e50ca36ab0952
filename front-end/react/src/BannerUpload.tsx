import type { BannerPictures, Client, Banner as Uploaded } from "@avatar-ops/client";
import type { ReactElement } from "react";
import { Banner } from "./Banner.js";
import { PictureUpload, type UploadProps } from "./PictureUpload.js";
import { english } from "./texts.js";

export interface BannerUploadProps extends UploadProps {
  client: Client;
  /** Whose banner it is; what is shown until there is another. */
  profile: BannerPictures;
  /** Called with each new banner, and with the same one in another crop. */
  onUploaded?: (banner: Uploaded) => void;
  /** Where it is given, the banner can be removed; called with the one that all have. */
  onRemoved?: (banner: BannerPictures) => void;
}

/** As `AvatarUpload`, of the picture above the profile. */
export function BannerUpload({ client, profile, texts: given, ...more }: BannerUploadProps): ReactElement {
  const texts = { ...english, ...given };
  return (
    <PictureUpload
      kind="banner" shape="square" hasPicture={Object.keys(profile.banner_variants).length > 0}
      does={{ upload: client.uploadBanner, crop: client.cropBanner, remove: client.removeBanner }}
      texts={{
        ...texts, choose: texts.chooseBanner, removeQuestion: texts.removeBannerQuestion, uploaded: texts.uploadedBanner,
        removed: texts.removedBanner,
      }}
      {...more}
    >
      <Banner profile={profile} />
    </PictureUpload>
  );
}
