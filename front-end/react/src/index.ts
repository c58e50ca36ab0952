export * from "./Avatar.js";
export { AvatarUpload, type AvatarUploadProps } from "./AvatarUpload.js";
export { Banner } from "./Banner.js";
export { BannerUpload, type BannerUploadProps } from "./BannerUpload.js";
export { ProfileForm, type ProfileFormProps } from "./ProfileForm.js";
export { ProfileHeading, type ProfileHeadingProps } from "./ProfileHeading.js";
export { type Texts, english } from "./texts.js";
