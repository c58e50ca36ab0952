import { type DefaultAvatar, type Pictures, avatarUrl, avatarVariants } from "@avatar-ops/client";
import { type CSSProperties, type ReactElement, useState } from "react";
import { hue, initials } from "./initials.js";
import { Placeholder } from "./Placeholder.js";

/** What an avatar is drawn from: a profile, or as much of one as a list has. */
export interface Person extends Pictures {
  display_name: string;
  /** What the colour is made from where `default` is missing; else the name. */
  cognito_user_uuid?: string;
  default?: DefaultAvatar;
}

export type Shape = "round" | "square";

export interface AvatarProps {
  profile: Person;
  /** CSS pixels; 48 unless given. */
  size?: number;
  shape?: Shape;
  /** The display name unless given; empty where the name stands beside it. */
  alt?: string;
  loading?: "eager" | "lazy";
  className?: string;
}

/**
 * A user's picture, in the smallest file that was made for this size and screen; until it is loaded,
 * its placeholder; without one, the initials on a colour of the user's own. Its place has its size
 * from the start.
 */
export function Avatar({
  profile, size = 48, shape = "round", alt = profile.display_name, loading = "eager", className = "",
}: AvatarProps): ReactElement {
  const variants = avatarVariants(profile);
  const src = avatarUrl(profile, size, 1);
  const placeholder = profile.avatar_placeholder;
  const [state, setState] = useState({ src: "", is: "loading" });
  const is = !variants.length ? "broken" : state.src === src ? state.is : "loading";
  const style = {
    "--ao-size": `${size}px`,
    "--ao-hue": profile.default?.hue ?? hue(profile.cognito_user_uuid ?? profile.display_name),
  } as CSSProperties;
  return (
    <span className={`ao-avatar ao-${shape} ${className}`} data-state={is} style={style}>
      {is === "loading" && placeholder && <Placeholder hash={placeholder} />}
      {(is === "broken" || (is === "loading" && !placeholder)) && (
        <svg
          viewBox="0 0 100 100"
          {...(alt && is === "broken" ? { role: "img", "aria-label": alt } : { "aria-hidden": true })}
        >
          <text x="50" y="50" dy=".35em" textAnchor="middle">
            {profile.default?.initials ?? initials(profile.display_name)}
          </text>
        </svg>
      )}
      {is !== "broken" && (
        <img
          key={src}
          alt={alt}
          width={size}
          height={size}
          decoding="async"
          loading={loading}
          sizes={`${size}px`}
          srcSet={variants.map(({ side, url }) => `${url} ${side}w`).join(", ")}
          src={src}
          // one that was loaded before React listened sends no event
          ref={(img) => {
            if (img?.complete && img.naturalWidth && is === "loading") setState({ src, is: "shown" });
          }}
          onLoad={() => setState({ src, is: "shown" })}
          onError={() => setState({ src, is: "broken" })}
        />
      )}
    </span>
  );
}
