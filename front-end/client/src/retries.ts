/** Attempts of one request, the first one included. */
const ATTEMPTS = 4;
/** Seconds; a server that asks for longer is not waited for: its answer is an error. */
const LONGEST_WAIT = 20;

/** Waits; rejects with the signal's reason once it is aborted. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Seconds that a Retry-After header asks for: a number of them, or a date. */
export function secondsOf(retryAfter: string | null): number | undefined {
  if (!retryAfter) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? +retryAfter : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

/** What an attempt came to: a value, or an error that may pass. */
export type Outcome<T> = { value: T } | { error: Error; retryAfter?: number | undefined };

/**
 * Makes attempts until one has a value; throws the last one's error. The pauses double from half a
 * second and are spread, so that clients that failed together don't come back together.
 */
export async function withRetries<T>(
  attempt: (number: number) => Promise<Outcome<T>>,
  signal?: AbortSignal,
): Promise<T> {
  for (let number = 0; ; number++) {
    signal?.throwIfAborted();
    const outcome = await attempt(number);
    if ("value" in outcome) return outcome.value;
    const wait = outcome.retryAfter ?? 2 ** number * (0.5 + Math.random() / 2);
    if (number === ATTEMPTS - 1 || wait > LONGEST_WAIT) throw outcome.error;
    await sleep(wait, signal);
  }
}
