import { beforeEach, describe, expect, it, vi } from "vitest";
import { AvatarError, type Options, type Progress, createClient } from "../src/index.js";
import { type Answer, VERSION, useDeployment } from "./deployment.js";

// What a browser does with pixels is tried in a browser
vi.mock("../src/picture.js", () => ({
  preparePicture: (picture: Blob, { crop }: { crop?: unknown }) => Promise.resolve({ picture, crop }),
}));

const deployment = useDeployment();
const picture = () => new Blob(["0123456789"], { type: "image/jpeg" });

function client(options: Partial<Options> = {}) {
  const { url } = deployment.current;
  return createClient({ apiUrl: `${url}/`, assetsUrl: `${url}/assets`, accessToken: () => "token", ...options });
}

async function failure(work: Promise<unknown>): Promise<AvatarError> {
  const error = await work.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(AvatarError);
  return error as AvatarError;
}

const error = (status: number, code: string, message = "A sentence.", more: object = {}): Answer => ({
  status, body: { error: { code, message, ...more } },
});
const s3 = (status: number, code: string, message = ""): Answer => ({
  status, body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});
/** Answers with each in turn, then with the last one always. */
const inTurn = <T>(...answers: T[]) => () => (answers.length > 1 ? answers.shift()! : answers[0]!);

describe("an upload", () => {
  it("ends with the addresses of what was made", async () => {
    const file = picture();
    const avatar = await client().uploadAvatar(file);
    const at = `${deployment.current.url}/assets/variants/sub/${VERSION}`;
    expect(avatar).toEqual({
      version: VERSION,
      avatar_url: `${at}/512.jpg`,
      avatar_variants: { "512.jpg": `${at}/512.jpg`, "128.webp": `${at}/128.webp` },
      avatar_placeholder: null, // the profile's is of the picture before
      picture: file,
    });
    const [ask, put] = deployment.current.requests;
    expect(ask!.headers.authorization).toBe("Bearer token");
    expect(put!.body).toBe("0123456789");
    expect(put!.headers["content-type"]).toBe("image/jpeg");
  });

  it("with a crop asks for it, and waits for the version that has it", async () => {
    deployment.current.suffix = "-3d090000007a120";
    const { version, avatar_url } = await client().uploadAvatar(picture(), { crop: [0.25, 0, 0.5] });
    expect(JSON.parse(deployment.current.requests[0]!.body)).toEqual({ type: "image/jpeg", size: 10, crop: [0.25, 0, 0.5] });
    expect(version).toBe(`${VERSION}-3d090000007a120`);
    expect(avatar_url).toContain(`/variants/sub/${version}/`);
  });

  it("of a Blob without a name is asked for by its type", async () => {
    await client().uploadAvatar(picture());
    expect(JSON.parse(deployment.current.requests[0]!.body)).toEqual({ type: "image/jpeg", size: 10 });
  });

  it("of a file without a type is asked for by its extension", async () => {
    await client().uploadAvatar(new File(["0123"], "IMG 1.final.JFIF"));
    expect(JSON.parse(deployment.current.requests[0]!.body)).toEqual({ extension: "JFIF", size: 4 });
  });

  it("tells its progress: preparing, sending from 0 to 1, processing", async () => {
    const told: Progress[] = [];
    await client().uploadAvatar(picture(), { onProgress: (it) => told.push(it) });
    expect(told[0]).toEqual({ phase: "preparing", sent: 0 });
    expect(told[1]).toEqual({ phase: "sending", sent: 0 });
    expect(told.at(-1)).toEqual({ phase: "processing", sent: 1 });
  });

  it("shows the first variant where no 512.jpg is made", async () => {
    deployment.current.variants = ["1024.avif", "256.webp"];
    const { avatar_url } = await client().uploadAvatar(picture());
    expect(avatar_url).toMatch(/\/1024\.avif$/);
  });

  it("waits until all variants are there, as an img would show the default picture of a 404", async () => {
    const missing = inTurn(404, 404, 200);
    deployment.current.variant = ({ path }) => ({ status: path.endsWith("webp") ? missing() : 200 });
    await client().uploadAvatar(picture());
    expect(deployment.current.waits).toEqual([1.5, 3, 3]);
    expect(deployment.current.count("HEAD", "/assets/variants")).toBe(4);
  });
});

describe("what may pass is tried again", () => {
  it("a 429 after the time that Retry-After names", async () => {
    const first = deployment.current.ask;
    const answers = inTurn<Answer | null>({ status: 429, headers: { "Retry-After": "7" }, body: { message: "Too Many Requests" } }, null);
    deployment.current.ask = (request) => answers() ?? first(request);
    await client().uploadAvatar(picture());
    expect(deployment.current.waits[0]).toBe(7);
  });

  it.each(["Thu, 01 Jan 2026 00:00:00 GMT", "soon"])("a 503 whose Retry-After is %s", async (value) => {
    const first = deployment.current.ask;
    const answers = inTurn<Answer | null>({ status: 503, headers: { "Retry-After": value } }, null);
    deployment.current.ask = (request) => answers() ?? first(request);
    await client().uploadAvatar(picture());
    expect(deployment.current.count("POST", "/avatars/key_upload")).toBe(2);
  });

  it("but not where a user would wait for minutes", async () => {
    deployment.current.ask = () => error(429, "too_many_uploads", "Wait 9 minutes.", { retry_after: 540 });
    const refused = await failure(client().uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "too_many_uploads", message: "Wait 9 minutes.", retryAfter: 540, status: 429 });
    expect(deployment.current.requests).toHaveLength(1);
  });

  it("at most three times, with pauses that double", async () => {
    deployment.current.ask = () => ({ status: 503, body: "<html>" });
    const refused = await failure(client().uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "unavailable", status: 503, step: "ask" });
    expect(deployment.current.waits).toEqual([1, 2, 4]);
  });

  it("a broken connection", async () => {
    const first = deployment.current.ask;
    const answers = inTurn<"broken" | null>("broken", "broken", null);
    deployment.current.ask = (request) => answers() ?? first(request);
    await client().uploadAvatar(picture());
  });

  it("a broken connection that stays is named", async () => {
    deployment.current.ask = () => "broken";
    const broken = await failure(client().uploadAvatar(picture()));
    expect(broken).toMatchObject({ code: "network", status: 0, step: "ask" });
  });

  it("an address that has expired is replaced by a new one", async () => {
    const taken = deployment.current.put;
    const answers = inTurn<Answer | null>(s3(403, "AccessDenied", "Request has expired"), null);
    deployment.current.put = (request) => answers() ?? taken(request);
    await client().uploadAvatar(picture());
    const puts = deployment.current.requests.filter(({ method }) => method === "PUT");
    expect(puts.map(({ path }) => path.split("=")[1])).toEqual(["1", "2"]);
  });

  it("an upload that breaks off is sent again to the same address while that holds", async () => {
    const taken = deployment.current.put;
    const answers = inTurn<"broken" | null>("broken", null);
    deployment.current.put = (request) => answers() ?? taken(request);
    await client().uploadAvatar(picture());
    expect(deployment.current.count("PUT", "/bucket")).toBe(2);
    expect(deployment.current.count("POST", "/avatars/key_upload")).toBe(1);
  });

  it("and to another one once its time is over", async () => {
    deployment.current.expiresIn = 1;
    const taken = deployment.current.put;
    const answers = inTurn<"broken" | null>("broken", null);
    deployment.current.put = (request) => answers() ?? taken(request);
    await client().uploadAvatar(picture());
    expect(deployment.current.count("POST", "/avatars/key_upload")).toBe(2);
  });

  it.each([s3(503, "SlowDown"), s3(500, "InternalError"), s3(400, "ExpiredToken")])("S3's %o", async (answer) => {
    const taken = deployment.current.put;
    const answers = inTurn<Answer | null>(answer, null);
    deployment.current.put = (request) => answers() ?? taken(request);
    await client().uploadAvatar(picture());
    expect(deployment.current.count("PUT", "/bucket")).toBe(2);
  });

  it("a wrong signature is not", async () => {
    deployment.current.put = () => s3(403, "SignatureDoesNotMatch");
    const refused = await failure(client().uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "upload_refused", status: 403, step: "put" });
    expect(refused.body).toContain("SignatureDoesNotMatch");
    expect(deployment.current.count("PUT", "/bucket")).toBe(1);
  });
});

describe("the access token", () => {
  it("is renewed once it is refused", async () => {
    const first = deployment.current.ask;
    deployment.current.ask = (request) =>
      request.headers.authorization === "Bearer new" ? first(request) : { status: 403, body: { message: "Forbidden" } };
    await client({ accessToken: async (renew) => (renew ? "new" : "old") }).uploadAvatar(picture());
    expect(deployment.current.count("POST", "/avatars/key_upload")).toBe(2);
  });

  it("that is refused still means: sign in again", async () => {
    deployment.current.ask = () => ({ status: 401, body: { message: "Unauthorized" } });
    const refused = await failure(client().uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "unauthorized", status: 401 });
    expect(deployment.current.requests).toHaveLength(2);
  });

  it("that can't be renewed offline is a broken connection, not an ended sign-in", async () => {
    deployment.current.ask = () => "broken";
    const accessToken = async (renew: boolean) => {
      if (renew) throw new TypeError("Failed to fetch");
      return "token";
    };
    expect(await failure(client({ accessToken }).uploadAvatar(picture()))).toMatchObject({ code: "network" });
  });

  it("that the sign-in doesn't give means: sign in again", async () => {
    const accessToken = () => Promise.reject(new Error("NotAuthorizedException"));
    const refused = await failure(client({ accessToken }).uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "unauthorized", message: "The sign-in has ended. Sign in again." });
    expect(deployment.current.requests).toEqual([]);
  });

  it("is not asked for again where an account is locked", async () => {
    deployment.current.ask = () => error(403, "locked", "This account may not send pictures.");
    const refused = await failure(client().uploadAvatar(picture()));
    expect(refused).toMatchObject({ code: "locked", message: "This account may not send pictures." });
    expect(deployment.current.requests).toHaveLength(1);
  });

  it("is sent to the API alone: S3 refuses two permissions, and the CDN needs none", async () => {
    await client().uploadAvatar(picture());
    const others = deployment.current.requests.filter(({ path }) => path !== "/avatars/key_upload");
    expect(others.length).toBeGreaterThan(1);
    for (const { headers } of others) expect(headers.authorization).toBeUndefined();
  });
});

describe("the outcome", () => {
  const rejection = (version_id: string) => () => ({
    status: 200, body: { code: "nothing_visible", message: "The picture is transparent.", version_id },
  });

  it("of a picture that is rejected is the rejection's code and sentence", async () => {
    deployment.current.variant = () => ({ status: 404 });
    deployment.current.rejection = rejection("v1");
    const rejected = await failure(client().uploadAvatar(picture()));
    expect(rejected).toMatchObject({ code: "nothing_visible", message: "The picture is transparent.", step: "outcome" });
  });

  it("is not that of an earlier upload of the same bytes", async () => {
    const missing = inTurn(404, 404, 200);
    deployment.current.variant = () => ({ status: missing() });
    deployment.current.rejection = rejection("v0");
    await client().uploadAvatar(picture());
  });

  it("is looked for every three seconds, and for 90 at most", async () => {
    deployment.current.variant = () => ({ status: 404 });
    const pending = await failure(client().uploadAvatar(picture()));
    expect(pending.code).toBe("pending");
    const { waits } = deployment.current;
    expect(waits.slice(0, 3)).toEqual([1.5, 3, 3]);
    const total = waits.reduce((sum, wait) => sum + wait, 0);
    expect(total).toBeGreaterThan(85);
    expect(total).toBeLessThan(95);
  });

  it("is looked for through a connection that breaks meanwhile", async () => {
    const answers = inTurn<"broken" | Answer>("broken", "broken", { status: 200 });
    deployment.current.variant = () => answers();
    await client().uploadAvatar(picture());
  });

  it("of a connection that stays broken is not called pending", async () => {
    deployment.current.variant = () => "broken";
    expect((await failure(client().uploadAvatar(picture()))).code).toBe("network");
  });
});

describe("an upload that is aborted", () => {
  const steps = ["POST /avatars/key_upload", "PUT /bucket", "HEAD /assets/variants"];
  it.each(steps)("during %s rejects with the reason and asks nothing more", async (step) => {
    const stop = new AbortController();
    const [method, start] = step.split(" ") as [string, string];
    const handle = deployment.current.handle.bind(deployment.current);
    deployment.current.handle = (request) => {
      if (request.method === method && request.path.startsWith(start)) stop.abort(new Error("enough"));
      return handle(request);
    };
    await expect(client().uploadAvatar(picture(), { signal: stop.signal })).rejects.toThrow("enough");
    const { length } = deployment.current.requests;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    expect(deployment.current.requests).toHaveLength(length);
    expect(deployment.current.requests.at(-1)!.method).toBe(method);
  });

  it("before it began asks nothing", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(client().uploadAvatar(picture(), { signal })).rejects.toThrow("enough");
    expect(deployment.current.requests).toEqual([]);
  });

  it("in a pause ends it at once", async () => {
    const stop = new AbortController();
    deployment.current.ask = () => ({ status: 429, headers: { "Retry-After": "20" } });
    const began = performance.now();
    const work = client().uploadAvatar(picture(), { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 5000);
    await expect(work).rejects.toThrow("enough");
    expect(performance.now() - began).toBeLessThan(350);
  });
});

describe("another crop", () => {
  const cropped = `${VERSION}-7a1200000f4240`;
  const answer = () => ({
    status: 202, body: { key: "sub", version: cropped, version_id: "v2", variants: ["512.jpg", "128.webp"] },
  });

  it("is asked for without another upload, and waited for", async () => {
    const missing = inTurn(404, 200);
    deployment.current.variant = () => ({ status: missing() });
    deployment.current.other = answer;
    const avatar = await client().cropAvatar({ crop: [0.5, 0, 1], version: VERSION });
    const [ask] = deployment.current.requests;
    expect(ask).toMatchObject({ method: "POST", path: "/avatars/crop" });
    expect(JSON.parse(ask!.body)).toEqual({ crop: [0.5, 0, 1], version: VERSION });
    expect(avatar.version).toBe(cropped);
    expect(avatar.avatar_url).toContain(`/assets/variants/sub/${cropped}/512.jpg`);
    expect(deployment.current.count("PUT", "/")).toBe(0);
  });

  it("that is rejected has the rejection's code and sentence", async () => {
    deployment.current.variant = () => ({ status: 404 });
    deployment.current.other = answer;
    deployment.current.rejection = () => ({
      status: 200, body: { code: "held", message: "The picture is looked at.", version_id: "v2" },
    });
    expect(await failure(client().cropAvatar({ crop: [0.5, 0, 1] }))).toMatchObject({ code: "held", step: "outcome" });
  });

  it.each([[404, "no_picture"], [409, "changed"], [403, "not_allowed"], [403, "locked"]])("answers %d %s", async (status, code) => {
    deployment.current.other = () => error(status, code, "A sentence.");
    expect(await failure(client().cropAvatar({ crop: [0.5, 0, 1] }))).toMatchObject({ code, message: "A sentence.", status });
    expect(deployment.current.requests).toHaveLength(1);
  });
});

describe("a banner", () => {
  const at = () => `${deployment.current.url}/assets/variants/banners/sub`;
  beforeEach(() => {
    deployment.current.key = "banners/sub";
    deployment.current.variants = ["1500x500.jpg", "600x200.webp"];
  });

  it("is sent as one, and waited for in its folder", async () => {
    const file = picture();
    const banner = await client().uploadBanner(file, { crop: [0, 0.25, 1] });
    expect(banner).toEqual({
      version: VERSION,
      banner_url: `${at()}/${VERSION}/1500x500.jpg`,
      banner_variants: Object.fromEntries(deployment.current.variants.map((name) => [name, `${at()}/${VERSION}/${name}`])),
      banner_placeholder: null,
      picture: file,
    });
    expect(JSON.parse(deployment.current.requests[0]!.body)).toEqual({
      type: "image/jpeg", size: 10, crop: [0, 0.25, 1], kind: "banner",
    });
  });

  it("that is rejected has the rejection's code", async () => {
    deployment.current.variant = () => ({ status: 404 });
    deployment.current.rejection = () => ({ status: 200, body: { code: "damaged", message: "It is damaged.", version_id: "v1" } });
    expect(await failure(client().uploadBanner(picture()))).toMatchObject({ code: "damaged" });
  });

  it("is cropped again as one", async () => {
    const body = { key: "banners/sub", version: VERSION, version_id: "v2", variants: deployment.current.variants };
    deployment.current.other = () => ({ status: 202, body });
    const { banner_url } = await client().cropBanner({ crop: [0, 0, 1], version: VERSION });
    expect(JSON.parse(deployment.current.requests[0]!.body)).toEqual({ crop: [0, 0, 1], version: VERSION, kind: "banner" });
    expect(banner_url).toBe(`${at()}/${VERSION}/1500x500.jpg`);
  });

  it("is removed as one, and leaves the one that all have", async () => {
    deployment.current.other = () => ({ status: 202, body: { key: "banners/sub" } });
    expect(await client().removeBanner()).toEqual({
      banner_url: `${deployment.current.url}/assets/banners/banner.jpg`, banner_variants: {}, banner_placeholder: null,
    });
    expect(deployment.current.requests[0]).toMatchObject({ method: "DELETE", path: "/avatars?kind=banner" });
  });
});

describe("the other calls", () => {
  it("a removal", async () => {
    deployment.current.other = () => ({ status: 202, body: { key: "sub" } });
    await client().removeAvatar();
    expect(deployment.current.requests[0]).toMatchObject({ method: "DELETE", path: "/avatars" });
    expect(deployment.current.requests[0]!.headers.authorization).toBe("Bearer token");
  });

  it("a profile is read without a token, and a handle is a part of the path", async () => {
    const page = { profile: { handle: "a/b" }, activities: [], next_cursor: null };
    deployment.current.other = () => ({ status: 200, body: page });
    const accessToken = () => {
      throw new Error("nobody is signed in");
    };
    expect(await client({ accessToken }).getProfile("a/b", "c+d")).toEqual(page);
    expect(deployment.current.requests[0]!.path).toBe("/api/activities/a%2Fb?cursor=c%2Bd");
  });

  it("a handle that nobody has", async () => {
    deployment.current.other = () => error(404, "not_found", "There is no user with this handle.");
    expect(await failure(client().getProfile("nobody"))).toMatchObject({ code: "not_found", status: 404 });
  });

  it("a profile is changed", async () => {
    deployment.current.other = ({ body }) => ({ status: 200, body: { handle: "ada", ...JSON.parse(body) } });
    const changed = await client().updateProfile({ display_name: "Ada L.", bio: "" });
    expect(changed).toMatchObject({ display_name: "Ada L.", bio: "" });
    expect(deployment.current.requests[0]).toMatchObject({ method: "POST", path: "/api/profile/update" });
  });

  it("a name that is refused", async () => {
    deployment.current.other = () => error(422, "display_name_blank", "The display name must not be blank.");
    expect(await failure(client().updateProfile({ display_name: "" }))).toMatchObject({ code: "display_name_blank" });
  });
});
