import { type BannerPictures, bannerVariants } from "@avatar-ops/client";
import type { ReactElement } from "react";
import { Placeholder } from "./Placeholder.js";

/** The picture above a profile, as wide as its place, in the smallest file that was made for it. */
export function Banner({ profile }: { profile: BannerPictures }): ReactElement {
  const sizes = bannerVariants(profile).map(({ side, url }) => `${url} ${side}w`);
  return (
    <span className="ao-banner">
      {profile.banner_placeholder && <Placeholder hash={profile.banner_placeholder} />}
      <img key={profile.banner_url} src={profile.banner_url} srcSet={sizes.join(", ")} sizes="100vw" alt="" />
    </span>
  );
}
