/** Every word that the components show, to be replaced by others or another language's. */
export interface Texts {
  avatar: string;
  banner: string;
  choose: string;
  chooseBanner: string;
  camera: string;
  cropAgain: string;
  hint: string;
  remove: string;
  removeQuestion: string;
  removeBannerQuestion: string;
  keep: string;
  opening: string;
  sending: string;
  processing: string;
  cancel: string;
  tryAgain: string;
  uploaded: string;
  uploadedBanner: string;
  removed: string;
  removedBanner: string;
  failed: string;
  noPicture: string;
  cropTitle: string;
  cropArea: string;
  cropHelp: string;
  /** `{left}`, `{top}` and `{side}` are whole percentages. */
  cropPosition: string;
  zoom: string;
  use: string;
  displayName: string;
  bio: string;
  save: string;
  saving: string;
  saved: string;
  /** `{count}` of `{most}` characters. */
  count: string;
}

export const english: Texts = {
  avatar: "Profile picture",
  banner: "Banner",
  choose: "Choose a picture",
  chooseBanner: "Choose a banner",
  camera: "Take a picture",
  cropAgain: "Crop again",
  hint: "or drop or paste one here",
  remove: "Remove",
  removeQuestion: "Remove your picture?",
  removeBannerQuestion: "Remove your banner?",
  keep: "Keep it",
  opening: "Opening the picture …",
  sending: "Sending the picture …",
  processing: "The picture has arrived and is being processed …",
  cancel: "Cancel",
  tryAgain: "Try again",
  uploaded: "This is your new picture.",
  uploadedBanner: "This is your new banner.",
  removed: "Your picture is removed.",
  removedBanner: "Your banner is removed.",
  failed: "Something went wrong. Try again.",
  noPicture: "There is no picture in it.",
  cropTitle: "Choose the part to show",
  cropArea: "Part of the picture that is shown",
  cropHelp: "Drag the picture, or move it with the arrow keys. Zoom with the slider.",
  cropPosition: "Shown: {side} % of the picture, {left} % from its left and {top} % from its top.",
  zoom: "Zoom",
  use: "Use this",
  displayName: "Display name",
  bio: "Bio",
  save: "Save",
  saving: "Saving …",
  saved: "Saved.",
  count: "{count} of {most} characters",
};

/** Puts values in the places of `{name}`. */
export function filled(text: string, values: Record<string, number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => `${values[name] ?? whole}`);
}
