/** The request that an error comes from. */
export type Step = "ask" | "put" | "outcome" | "remove" | "profile";

/** Why the API refused, as in docs/contract.md. */
export type RefusalCode =
  | "invalid_request"
  | "unsupported_extension"
  | "unsupported_type"
  | "too_large"
  | "locked"
  | "too_many_uploads"
  | "too_many_removals"
  | "unauthorized"
  | "no_picture"
  | "changed"
  | "not_allowed"
  | "too_many_reports"
  | "not_found"
  | "unavailable"
  | "display_name_blank"
  | "display_name_invalid"
  | "display_name_too_long"
  | "bio_invalid"
  | "bio_too_long";

/** Why a picture that was sent can't be an avatar, as in docs/contract.md. */
export type RejectionCode =
  | "empty"
  | "unsupported_format"
  | "unsupported_heic"
  | "too_many_bytes"
  | "too_many_pixels"
  | "too_complex"
  | "nothing_visible"
  | "damaged"
  | "reserved_name"
  | "too_many_uploads"
  | "locked"
  | "not_allowed"
  | "held"
  | "name_too_long";

/**
 * What the client itself says: no connection; an upload that S3 refused; a picture that has arrived
 * and is still being processed; an answer that the contract doesn't name.
 */
export type ClientCode = "network" | "upload_refused" | "pending" | "unexpected";

export type ErrorCode = RefusalCode | RejectionCode | ClientCode;

export interface ErrorDetails {
  step: Step;
  /** The answer's HTTP status; 0 where there was none, or the page may not see it. */
  status?: number | undefined;
  /** Seconds after which to try again, if the server said so. */
  retryAfter?: number | undefined;
  /** The answer's body. */
  body?: string | undefined;
  cause?: unknown;
}

/** What went wrong: `code` is for programs, `message` is a sentence for the user. */
export class AvatarError extends Error {
  override readonly name = "AvatarError";
  readonly code: ErrorCode;
  readonly step: Step;
  readonly status: number;
  readonly retryAfter: number | undefined;
  readonly body: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, { cause: details.cause });
    this.code = code;
    this.step = details.step;
    this.status = details.status ?? 0;
    this.retryAfter = details.retryAfter;
    this.body = details.body ?? "";
  }
}

export const brokenConnection = (step: Step, cause?: unknown): AvatarError =>
  new AvatarError("network", "The connection broke off. Check it, then try again.", { step, cause });
