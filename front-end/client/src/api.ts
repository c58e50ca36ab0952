import { AvatarError, type ErrorCode, type Step, brokenConnection } from "./errors.js";
import { type Outcome, secondsOf, withRetries } from "./retries.js";

export interface Options {
  /** Terraform's output `api_url`. */
  apiUrl: string;
  /** Terraform's output `assets_url`. */
  assetsUrl: string;
  /**
   * Returns the user's Cognito access token. It is called for each request; with `true` after one
   * was refused or its connection broke, when the token may have ended: renew it then.
   */
  accessToken: (renew: boolean) => string | Promise<string>;
}

/** Seconds in which an answer must begin. */
const PATIENCE = 30;
const MAY_PASS = [429, 500, 502, 503, 504];

/** Both of two signals, where there are two. */
function within(seconds: number, signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(seconds * 1000);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** Fetches, and makes of any broken connection an AvatarError. */
export async function fetched(
  step: Step,
  url: string,
  init: RequestInit,
  signal?: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: within(PATIENCE, signal) });
  } catch (error) {
    signal?.throwIfAborted();
    throw brokenConnection(step, error);
  }
}

/** Asks the API, again where that may help, and returns the answer's JSON. */
export async function ask<T>(
  options: Options,
  step: Step,
  method: string,
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<T> {
  let before: AvatarError | undefined;
  let renew = false;
  const authorized = step !== "profile" || method !== "GET";
  return withRetries<T>(async (): Promise<Outcome<T>> => {
    const headers: Record<string, string> = {};
    if (authorized) {
      try {
        headers.Authorization = `Bearer ${await options.accessToken(renew)}`;
      } catch (cause) {
        // Renewing a token needs the network too; what was wrong before it is what is wrong
        return { error: before ?? tokenless(step, cause) };
      }
    }
    if (body) headers["Content-Type"] = "application/json";
    let answer: Response;
    let text: string;
    try {
      answer = await fetched(
        step, options.apiUrl + path, { method, headers, body: body ? JSON.stringify(body) : null }, signal,
      );
      text = await answer.text();
    } catch (error) {
      signal?.throwIfAborted();
      // API Gateway's own 401 and 403 may carry no CORS headers, and then look like this
      renew = true;
      return { error: (before = error instanceof AvatarError ? error : brokenConnection(step, error)) };
    }
    const error = answer.ok ? undefined : refusal(step, answer, text);
    if (!error) return { value: JSON.parse(text) as T };
    before = error;
    if (error.code === "unauthorized" && authorized && !renew) {
      renew = true;
      return { error, retryAfter: 0 };
    }
    if (MAY_PASS.includes(answer.status)) return { error, retryAfter: error.retryAfter };
    throw error;
  }, signal);
}

const ENDED = "The sign-in has ended. Sign in again.";

/** The error of a sign-in that gives no token: `fetch` says by a TypeError that it was not reached. */
const tokenless = (step: Step, cause: unknown): AvatarError =>
  cause instanceof TypeError ? brokenConnection(step, cause) : new AvatarError("unauthorized", ENDED, { step, cause });

/** What an answer that isn't 2xx says, in the functions' form or the gateway's own. */
function refusal(step: Step, answer: Response, text: string): AvatarError {
  const { status } = answer;
  let said: { code?: ErrorCode; message?: string; retry_after?: number } = {};
  try {
    said = JSON.parse(text).error ?? {};
  } catch {
    // not JSON: a proxy's page, say
  }
  const [code, message]: [ErrorCode, string] =
    status === 401 || status === 403
      ? ["unauthorized", ENDED]
      : MAY_PASS.includes(status)
        ? ["unavailable", "The service is busy or away. Try again in a moment."]
        : ["unexpected", `The service refused the request (${status}).`];
  return new AvatarError(said.code ?? code, said.message ?? message, {
    step,
    status,
    body: text,
    retryAfter: said.retry_after ?? secondsOf(answer.headers.get("Retry-After")),
  });
}
