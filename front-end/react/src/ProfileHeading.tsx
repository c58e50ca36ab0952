import type { Profile } from "@avatar-ops/client";
import type { ReactElement, ReactNode } from "react";
import { Avatar, type Shape } from "./Avatar.js";
import { Banner } from "./Banner.js";

export interface ProfileHeadingProps {
  profile: Profile;
  shape?: Shape;
  /** CSS pixels of the avatar; 128 unless given. */
  size?: number;
  /** The heading's level; 1 unless given. */
  level?: 1 | 2 | 3;
  /** Buttons, say. */
  children?: ReactNode;
}

/** The top of a profile's page: banner, avatar, name, handle and bio. */
export function ProfileHeading({
  profile, shape = "round", size = 128, level = 1, children,
}: ProfileHeadingProps): ReactElement {
  const Heading = `h${level}` as const;
  return (
    <header className={`ao-heading ${profile.banner_url ? "ao-with-banner" : ""}`}>
      {profile.banner_url && <Banner profile={profile} />}
      <div className="ao-who">
        <Avatar profile={profile} size={size} shape={shape} alt="" />
        <div className="ao-names">
          <Heading>{profile.display_name}</Heading>
          <p>@{profile.handle}</p>
        </div>
        {children && <div className="ao-actions">{children}</div>}
      </div>
      {profile.bio && <p className="ao-bio">{profile.bio}</p>}
    </header>
  );
}
