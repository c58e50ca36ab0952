// A deployment as the client sees it: API, bucket and CDN on one real HTTP server, and a clock that
// runs fifty times as fast.
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, vi } from "vitest";

export interface Request {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}
/** Answers a request; "broken" breaks the connection. */
export type Handler = (request: Request) => Answer | "broken";

export const VERSION = "ab".repeat(16);
const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "*",
  "Access-Control-Allow-Methods": "*",
  "Access-Control-Expose-Headers": "ETag, x-amz-version-id, Retry-After",
};
const SPEED = 50;

export class Deployment {
  url = "";
  requests: Request[] = [];
  /** Seconds that the client waited for, in order. */
  waits: number[] = [];
  expiresIn = 300;
  variants = ["512.jpg", "128.webp"];
  suffix = "";
  key = "sub";
  /** What each route answers; replace one to let something go wrong. */
  ask: Handler = () => ({
    status: 200,
    body: {
      url: `${this.url}/bucket/sub?X-Amz-Signature=${this.count("POST", "/avatars/key_upload")}`,
      method: "PUT",
      headers: { "Content-Type": "image/jpeg" },
      key: this.key,
      expires_in: this.expiresIn,
      variants: this.variants,
      version_suffix: this.suffix,
    },
  });
  put: Handler = () => ({ status: 200, headers: { ETag: `"${VERSION}"`, "x-amz-version-id": "v1" } });
  variant: Handler = () => ({ status: 200 });
  rejection: Handler = () => ({ status: 404, body: "the default picture" });
  other: Handler = () => ({ status: 404, body: { message: "Not Found" } });

  count(method: string, start: string): number {
    return this.requests.filter((it) => it.method === method && it.path.startsWith(start)).length;
  }

  handle(request: Request): Answer | "broken" {
    const { method, path } = request;
    if (method === "POST" && path === "/avatars/key_upload") return this.ask(request);
    if (method === "PUT" && path.startsWith("/bucket/")) return this.put(request);
    if (path.startsWith(`/assets/variants/${this.key}/`)) return this.variant(request);
    if (path.startsWith(`/assets/rejections/${this.key}/`)) return this.rejection(request);
    return this.other(request);
  }
}

/** Starts one for each test, and stops it afterwards. */
export function useDeployment(): { current: Deployment } {
  const held = {} as { current: Deployment };
  let close: () => void;
  beforeEach(async () => {
    const deployment = (held.current = new Deployment());
    const server = createServer((incoming, outgoing) => void serve(deployment, incoming, outgoing));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    deployment.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    close = () => {
      server.closeAllConnections();
      server.close();
    };
    const [timeout, now] = [globalThis.setTimeout, Date.now];
    let passed = 0;
    vi.stubGlobal("setTimeout", (callback: () => void, ms = 0) =>
      timeout(() => {
        if (ms >= 100 && ms < 60_000) {
          deployment.waits.push(ms / 1000);
          passed += ms * (1 - 1 / SPEED);
        }
        callback();
      }, ms / SPEED),
    );
    vi.spyOn(Date, "now").mockImplementation(() => now() + passed);
    vi.spyOn(Math, "random").mockReturnValue(1);
  });
  afterEach(() => close());
  return held;
}

async function serve(deployment: Deployment, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  if (incoming.method === "OPTIONS") {
    outgoing.writeHead(200, CORS).end();
    return;
  }
  const { method = "", url: path = "", headers } = incoming;
  const request = { method, path, headers, body: Buffer.concat(chunks).toString() };
  deployment.requests.push(request);
  const answer = deployment.handle(request);
  if (answer === "broken") {
    incoming.socket.destroy();
    return;
  }
  const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? "");
  outgoing.writeHead(answer.status, { ...CORS, ...answer.headers }).end(text);
}
