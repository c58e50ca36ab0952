/** Every word that the components show, to be replaced by others or another language's. */
export interface Texts {
  choose: string;
  camera: string;
  cropAgain: string;
  hint: string;
  remove: string;
  removeQuestion: string;
  keep: string;
  opening: string;
  sending: string;
  processing: string;
  cancel: string;
  tryAgain: string;
  uploaded: string;
  removed: string;
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
  choose: "Choose a picture",
  camera: "Take a picture",
  cropAgain: "Crop again",
  hint: "or drop or paste one here",
  remove: "Remove",
  removeQuestion: "Remove your picture?",
  keep: "Keep it",
  opening: "Opening the picture …",
  sending: "Sending the picture …",
  processing: "The picture has arrived and is being processed …",
  cancel: "Cancel",
  tryAgain: "Try again",
  uploaded: "This is your new picture.",
  removed: "Your picture is removed.",
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
