// Built from front-end/console/src by `make front-end`; changes here are lost.
/** What went wrong: `code` is for programs, `message` is a sentence for the user. */
var AvatarError = class extends Error {
	name = "AvatarError";
	code;
	step;
	status;
	retryAfter;
	body;
	constructor(code, message, details) {
		super(message, { cause: details.cause });
		this.code = code;
		this.step = details.step;
		this.status = details.status ?? 0;
		this.retryAfter = details.retryAfter;
		this.body = details.body ?? "";
	}
};
var brokenConnection = (step, cause) => new AvatarError("network", "The connection broke off. Check it, then try again.", {
	step,
	cause
});
/** Seconds; a server that asks for longer is not waited for: its answer is an error. */
var LONGEST_WAIT = 20;
/** Waits; rejects with the signal's reason once it is aborted. */
function sleep(seconds, signal) {
	return new Promise((resolve, reject) => {
		const stop = () => {
			clearTimeout(timer);
			reject(signal?.reason);
		};
		const timer = setTimeout(() => {
			signal?.removeEventListener("abort", stop);
			resolve();
		}, seconds * 1e3);
		if (signal?.aborted) stop();
		else signal?.addEventListener("abort", stop, { once: true });
	});
}
/** Seconds that a Retry-After header asks for: a number of them, or a date. */
function secondsOf(retryAfter) {
	if (!retryAfter) return void 0;
	const seconds = /^\d+$/.test(retryAfter) ? +retryAfter : (Date.parse(retryAfter) - Date.now()) / 1e3;
	return Number.isFinite(seconds) ? Math.max(0, seconds) : void 0;
}
/**
* Makes attempts until one has a value; throws the last one's error. The pauses double from half a
* second and are spread, so that clients that failed together don't come back together.
*/
async function withRetries(attempt, signal) {
	for (let number = 0;; number++) {
		signal?.throwIfAborted();
		const outcome = await attempt(number);
		if ("value" in outcome) return outcome.value;
		const wait = outcome.retryAfter ?? 2 ** number * (.5 + Math.random() / 2);
		if (number === 3 || wait > LONGEST_WAIT) throw outcome.error;
		await sleep(wait, signal);
	}
}
/** Seconds in which an answer must begin. */
var PATIENCE = 30;
var MAY_PASS = [
	429,
	500,
	502,
	503,
	504
];
/** Both of two signals, where there are two. */
function within(seconds, signal) {
	const timeout = AbortSignal.timeout(seconds * 1e3);
	return signal ? AbortSignal.any([signal, timeout]) : timeout;
}
/** Fetches, and makes of any broken connection an AvatarError. */
async function fetched(step, url, init, signal) {
	try {
		return await fetch(url, {
			...init,
			signal: within(PATIENCE, signal)
		});
	} catch (error) {
		signal?.throwIfAborted();
		throw brokenConnection(step, error);
	}
}
/** Asks the API, again where that may help, and returns the answer's JSON. */
async function ask(options, step, method, path, body, signal) {
	let before;
	let renew = false;
	const authorized = step !== "profile" || method !== "GET";
	return withRetries(async () => {
		const headers = {};
		if (authorized) try {
			headers.Authorization = `Bearer ${await options.accessToken(renew)}`;
		} catch (cause) {
			return { error: before ?? tokenless(step, cause) };
		}
		if (body) headers["Content-Type"] = "application/json";
		let answer;
		let text;
		try {
			answer = await fetched(step, options.apiUrl + path, {
				method,
				headers,
				body: body ? JSON.stringify(body) : null
			}, signal);
			text = await answer.text();
		} catch (error) {
			signal?.throwIfAborted();
			renew = true;
			return { error: before = error instanceof AvatarError ? error : brokenConnection(step, error) };
		}
		const error = answer.ok ? void 0 : refusal(step, answer, text);
		if (!error) return { value: JSON.parse(text) };
		before = error;
		if (error.code === "unauthorized" && authorized && !renew) {
			renew = true;
			return {
				error,
				retryAfter: 0
			};
		}
		if (MAY_PASS.includes(answer.status)) return {
			error,
			retryAfter: error.retryAfter
		};
		throw error;
	}, signal);
}
var ENDED = "The sign-in has ended. Sign in again.";
/** The error of a sign-in that gives no token: `fetch` says by a TypeError that it was not reached. */
var tokenless = (step, cause) => cause instanceof TypeError ? brokenConnection(step, cause) : new AvatarError("unauthorized", ENDED, {
	step,
	cause
});
/** What an answer that isn't 2xx says, in the functions' form or the gateway's own. */
function refusal(step, answer, text) {
	const { status } = answer;
	let said = {};
	try {
		said = JSON.parse(text).error ?? {};
	} catch {}
	const [code, message] = status === 401 || status === 403 ? ["unauthorized", ENDED] : MAY_PASS.includes(status) ? ["unavailable", "The service is busy or away. Try again in a moment."] : ["unexpected", `The service refused the request (${status}).`];
	return new AvatarError(said.code ?? code, said.message ?? message, {
		step,
		status,
		body: text,
		retryAfter: said.retry_after ?? secondsOf(answer.headers.get("Retry-After"))
	});
}
/** How many times as wide as high a picture of a kind is. */
var RATIO = {
	avatar: 1,
	banner: 3
};
var MAX_SIDE = 2048;
/**
* What to write into `accept` of an `<input type="file">`. Safari hands over a JPEG instead of a HEIC
* if HEIC isn't named, and JPEG first; elsewhere HEIC is named, for it is decoded here.
*/
function acceptedTypes() {
	const types = "image/jpeg,image/png,image/webp,image/gif,image/avif";
	return navigator.vendor.startsWith("Apple") ? types : `${types},image/heic,image/heif,.heic,.heif`;
}
/**
* Returns a picture that this browser can show: the same one, or a JPEG of a HEIC. Null if it can't
* be shown.
*/
async function decodePicture(file) {
	if (await opened(file, () => true)) return file;
	if (!await isHeic(file)) return null;
	try {
		const { heicTo } = await import("heic-to/csp");
		return await heicTo({
			blob: file,
			type: "image/jpeg",
			quality: .95
		});
	} catch {
		return null;
	}
}
/**
* Returns what is sent of a picture: scaled as by `scalePicture`, without what is so far from the crop
* that the crop would have too few pixels beside it, and the crop in parts of that.
*/
async function preparePicture(file, { crop, maxSide } = {}, kind = "avatar") {
	let within = crop && clean(crop);
	const picture = await scaled(file, maxSide, (width, height) => {
		const box = sentBox(width, height, within, RATIO[kind]);
		within &&= partsOf(box, width, height, within, RATIO[kind]);
		return box;
	});
	return {
		picture,
		crop: crop && (picture === file ? clean(crop) : within)
	};
}
async function scaled(file, maxSide = MAX_SIDE, choose) {
	const shown = await decodePicture(file);
	return (shown && await opened(shown, (picture) => drawn(picture, shown.type, choose(picture.naturalWidth, picture.naturalHeight), maxSide))) ?? file;
}
/** Calls `use` with the decoded picture; returns null if the browser can't decode it. */
async function opened(file, use) {
	const url = URL.createObjectURL(file);
	try {
		const picture = new Image();
		await new Promise((resolve, reject) => {
			picture.onload = resolve;
			picture.onerror = reject;
			picture.src = url;
		}).catch(() => null);
		return picture.naturalWidth ? await use(picture) : null;
	} finally {
		URL.revokeObjectURL(url);
	}
}
async function drawn(picture, type, [left, top, width, height], maxSide) {
	const scale = Math.min(1, maxSide / Math.max(width, height));
	const canvas = document.createElement("canvas");
	canvas.width = Math.max(1, Math.round(width * scale));
	canvas.height = Math.max(1, Math.round(height * scale));
	const context = canvas.getContext("2d");
	context.imageSmoothingQuality = "high";
	context.drawImage(picture, left, top, width, height, 0, 0, canvas.width, canvas.height);
	const isJpeg = type === "image/jpeg";
	if (!isJpeg && isEmpty(canvas)) return null;
	return new Promise((resolve) => isJpeg ? canvas.toBlob(resolve, type, .92) : canvas.toBlob(resolve, "image/webp", .95));
}
/** The crop as the API takes it: three numbers from 0 to 1. */
function clean(crop) {
	if (!crop.every(Number.isFinite) || crop[2] <= 0) throw new RangeError("crop is [x, y, side] in parts of the upright picture, side above 0.");
	const part = (value, least = 0) => Math.min(1, Math.max(least, value));
	return [
		part(crop[0]),
		part(crop[1]),
		part(crop[2], 1e-6)
	];
}
/** Width and height of the part of that ratio that is as large as can be, times `part`. */
var largest = (width, height, ratio, part = 1) => [Math.max(1, Math.round(Math.min(width, height * ratio) * part)), Math.max(1, Math.round(Math.min(width / ratio, height) * part))];
/** A crop in pixels, rounded as the API rounds. */
function pixels(width, height, [x, y, part], ratio) {
	const [w, h] = largest(width, height, ratio, part);
	return [
		Math.min(Math.round(width * x), width - w),
		Math.min(Math.round(height * y), height - h),
		w,
		h
	];
}
/**
* What is sent: all of the picture, but for what is far from the crop. Scaled down whole, a long
* panorama, or one face of many, would leave few pixels of what is shown: so a crop has at least a
* quarter of the longer side, and what is shown without one half of it.
*/
function sentBox(width, height, crop, ratio = 1) {
	const [across, down] = largest(width, height, ratio);
	const shown = crop ? pixels(width, height, crop, ratio) : [
		(width - across) / 2,
		(height - down) / 2,
		across,
		down
	];
	const times = crop ? 4 : 2;
	const [w, h] = [Math.min(width, shown[2] * times), Math.min(height, shown[3] * times)];
	const start = (at, whole, side, sent) => Math.max(0, Math.min(whole - sent, Math.floor(at + (side - sent) / 2)));
	return [
		start(shown[0], width, shown[2], w),
		start(shown[1], height, shown[3], h),
		w,
		h
	];
}
/** The same crop in parts of a box of the picture. */
function partsOf(box, width, height, crop, ratio = 1) {
	const [left, top, w, h] = box;
	if (w === width && h === height) return crop;
	const [x, y, across] = pixels(width, height, crop, ratio);
	return [
		(x - left) / w,
		(y - top) / h,
		across / Math.min(w, h * ratio)
	];
}
/** Whether nothing can be seen. */
function isEmpty(canvas) {
	const small = document.createElement("canvas");
	small.width = small.height = 32;
	const context = small.getContext("2d");
	context.drawImage(canvas, 0, 0, 32, 32);
	return context.getImageData(0, 0, 32, 32).data.every((value, index) => index % 4 < 3 || !value);
}
/** Whether the bytes are those of a HEIC, whatever name or type they have. */
async function isHeic(file) {
	const head = String.fromCharCode(...new Uint8Array(await file.slice(4, 64).arrayBuffer()));
	return /^ftyp(he[iv][cxms]|mif1|msf1)/.test(head) && !/avi[fs]/.test(head);
}
/** Seconds without a byte sent, or without an answer after the last one. */
var STALLED = 60;
/**
* Sends the picture. By XMLHttpRequest, for `fetch` tells no progress.
*
* Rejects with an AvatarError: `network`, or `upload_refused` with S3's status and XML.
*/
function put(granted, picture, onSent, signal) {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		const stop = () => request.abort();
		let timer;
		const alive = () => {
			clearTimeout(timer);
			timer = setTimeout(stop, STALLED * 1e3);
		};
		const broken = () => reject(signal?.aborted ? signal.reason : brokenConnection("put"));
		request.open(granted.method, granted.url);
		for (const [name, value] of Object.entries(granted.headers)) request.setRequestHeader(name, value);
		request.upload.onprogress = (event) => {
			alive();
			onSent(event.loaded / (event.total || picture.size));
		};
		request.onerror = request.onabort = broken;
		request.onload = () => {
			const etag = request.getResponseHeader("ETag");
			if (request.status === 200 && etag) return resolve({
				version: etag.replaceAll("\"", "") + granted.version_suffix,
				versionId: request.getResponseHeader("x-amz-version-id")
			});
			reject(new AvatarError("upload_refused", `The upload was refused (${request.status}). Try again.`, {
				step: "put",
				status: request.status,
				body: request.responseText
			}));
		};
		request.onloadend = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", stop);
		};
		signal?.addEventListener("abort", stop, { once: true });
		alive();
		request.send(picture);
	});
}
/** Whether another address, or the same one again, may be taken: it has expired, or S3 is busy. */
function mayPass(error) {
	return error.code === "network" || error.status === 500 || error.status === 503 || /expired|<Code>(ExpiredToken|RequestTimeout)</i.test(error.body);
}
/** Seconds: before the first look for the outcome, between looks (the CDN keeps a 404 for 5), in all. */
var FIRST_LOOK = 1.5;
var NEXT_LOOK = 3;
var LONGEST = 90;
/** The variant that profiles name. */
var STABLE = {
	avatar: "512.jpg",
	banner: "1500x500.jpg"
};
/** What a request says of a kind: nothing of an avatar, as an older API knows no other. */
var ofKind = (kind) => kind !== "avatar" && { kind };
var segments = (key) => key.split("/").map(encodeURIComponent).join("/");
/** Returns what talks to one deployment as one user. */
function createClient(given) {
	const trimmed = (url) => url.replace(/\/+$/, "");
	const options = {
		...given,
		apiUrl: trimmed(given.apiUrl),
		assetsUrl: trimmed(given.assetsUrl)
	};
	async function send(kind, file, upload) {
		const { signal, onProgress } = upload;
		signal?.throwIfAborted();
		onProgress?.({
			phase: "preparing",
			sent: 0
		});
		const { picture, crop } = await preparePicture(file, upload, kind);
		signal?.throwIfAborted();
		onProgress?.({
			phase: "sending",
			sent: 0
		});
		const name = picture === file ? file.name : void 0;
		const body = {
			...name?.includes(".") && { extension: name.split(".").pop()?.slice(0, 40) },
			...picture.type && { type: picture.type.slice(0, 100) },
			size: picture.size,
			...crop && { crop },
			...ofKind(kind)
		};
		let granted;
		return withRetries(async () => {
			if (!granted || Date.now() > granted.until) {
				const answer = await ask(options, "ask", "POST", "/avatars/key_upload", body, signal);
				granted = {
					...answer,
					until: Date.now() + (answer.expires_in - 1) * 1e3
				};
			}
			try {
				const report = (sent) => onProgress?.({
					phase: "sending",
					sent
				});
				return { value: {
					...await put(granted, picture, report, signal),
					key: granted.key,
					variants: granted.variants,
					picture
				} };
			} catch (error) {
				if (!(error instanceof AvatarError) || !mayPass(error)) throw error;
				if (error.code !== "network") granted = void 0;
				return { error };
			}
		}, signal);
	}
	async function outcome(kind, sent, signal) {
		const of = (folder) => `${options.assetsUrl}/${folder}/${segments(sent.key)}/${encodeURIComponent(sent.version)}`;
		const made = Object.fromEntries(sent.variants.map((name) => [name, `${of("variants")}/${encodeURIComponent(name)}`]));
		const first = made[STABLE[kind]] ?? Object.values(made)[0];
		const rejected = `${of("rejections")}.json`;
		const waiting = /* @__PURE__ */ new Set([first, ...Object.values(made)]);
		const fresh = { cache: "no-store" };
		const deadline = Date.now() + LONGEST * 1e3;
		let offline;
		for (let wait = FIRST_LOOK; Date.now() < deadline; wait = NEXT_LOOK) {
			await sleep(wait, signal);
			try {
				for (const url of waiting) {
					if (!(await fetched("outcome", url, {
						...fresh,
						method: "HEAD"
					}, signal)).ok) break;
					waiting.delete(url);
				}
				if (!waiting.size) {
					const shown = {
						[`${kind}_url`]: first,
						[`${kind}_variants`]: made,
						[`${kind}_placeholder`]: null
					};
					return {
						version: sent.version,
						...shown
					};
				}
				const refusal = await fetched("outcome", rejected, fresh, signal);
				const reason = refusal.ok ? await refusal.json() : null;
				offline = void 0;
				if (reason && [reason.version_id, null].includes(sent.versionId)) throw new AvatarError(reason.code, reason.message, {
					step: "outcome",
					status: 200,
					body: JSON.stringify(reason)
				});
			} catch (error) {
				signal?.throwIfAborted();
				if (error instanceof AvatarError && error.code !== "network") throw error;
				offline = error;
			}
		}
		if (offline) throw brokenConnection("outcome", offline);
		throw new AvatarError("pending", "The picture has arrived and is still being processed. Look again later.", { step: "outcome" });
	}
	async function upload(kind, file, given) {
		const sent = await send(kind, file, given);
		given.onProgress?.({
			phase: "processing",
			sent: 1
		});
		return {
			...await outcome(kind, sent, given.signal),
			picture: sent.picture
		};
	}
	async function crop(kind, { crop, version, signal }) {
		const answer = await ask(options, "ask", "POST", "/avatars/crop", {
			crop,
			version,
			...ofKind(kind)
		}, signal);
		return outcome(kind, {
			...answer,
			versionId: answer.version_id
		}, signal);
	}
	return {
		sendAvatar: (file, given = {}) => send("avatar", file, given),
		uploadAvatar: (file, given = {}) => upload("avatar", file, given),
		uploadBanner: (file, given = {}) => upload("banner", file, given),
		cropAvatar: (given) => crop("avatar", given),
		cropBanner: (given) => crop("banner", given),
		async removeAvatar(signal) {
			await ask(options, "remove", "DELETE", "/avatars", void 0, signal);
		},
		async removeBanner(signal) {
			await ask(options, "remove", "DELETE", "/avatars?kind=banner", void 0, signal);
			return {
				banner_url: `${options.assetsUrl}/banners/banner.jpg`,
				banner_variants: {},
				banner_placeholder: null
			};
		},
		getProfile(handle, cursor, signal) {
			const page = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
			return ask(options, "profile", "GET", `/api/activities/${encodeURIComponent(handle)}${page}`, void 0, signal);
		},
		updateProfile(change, signal) {
			return ask(options, "profile", "POST", "/api/profile/update", change, signal);
		}
	};
}
function avatar_upload_default({ data, parentElement, setTriggerValue }) {
	const find = (selector) => parentElement.querySelector(selector);
	const input = find("#file");
	const drop = find(".drop");
	const words = find("#words");
	const bar = find("#progress");
	const picture = find("#picture");
	const client = createClient({
		apiUrl: data.api_url,
		assetsUrl: data.assets_url,
		accessToken: () => data.token
	});
	input.accept = acceptedTypes();
	picture.onerror = () => {
		picture.hidden = true;
	};
	const send = async (file) => {
		input.disabled = true;
		URL.revokeObjectURL(picture.src);
		picture.src = URL.createObjectURL(file);
		picture.hidden = false;
		try {
			const { version } = await client.sendAvatar(file, { onProgress: ({ phase, sent }) => {
				bar.hidden = phase !== "sending";
				bar.value = sent;
				words.textContent = phase === "sending" ? `Uploading ${file.name}: ${Math.round(100 * sent)} %` : "Preparing …";
			} });
			words.textContent = `${file.name} is uploaded.`;
			setTriggerValue("uploaded", {
				version,
				size: file.size
			});
		} catch (error) {
			if (!(error instanceof AvatarError)) throw error;
			bar.hidden = true;
			words.textContent = "That did not work; see below.";
			const { step, status, body, message } = error;
			setTriggerValue("failed", {
				step: step === "put" ? "put" : "ask",
				status,
				text: (body || message).slice(0, 2e3),
				origin: location.origin
			});
		} finally {
			input.disabled = false;
		}
	};
	const start = (file) => file && !input.disabled && void send(file);
	input.onchange = () => {
		start(input.files?.[0]);
		input.value = "";
	};
	drop.ondragover = (event) => {
		event.preventDefault();
		drop.classList.add("over");
	};
	drop.ondragleave = () => drop.classList.remove("over");
	drop.ondrop = (event) => {
		event.preventDefault();
		drop.classList.remove("over");
		start(event.dataTransfer?.files[0]);
	};
	return () => URL.revokeObjectURL(picture.src);
}
export { avatar_upload_default as default };
