// What the application's front end does: ask the API for a URL, then PUT the picture there.
export default function ({ data, parentElement, setTriggerValue }) {
  const find = (id) => parentElement.querySelector(`#${id}`);
  const [input, words, bar, picture] = ["file", "words", "progress", "picture"].map(find);
  const drop = parentElement.querySelector(".drop");

  const fail = (step, status, text) => {
    bar.hidden = true;
    words.textContent = "That did not work; see below.";
    setTriggerValue("failed", { step, status, text: text.slice(0, 2000), origin: location.origin });
  };

  const send = async (file) => {
    input.disabled = true;
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    picture.hidden = false;
    words.textContent = "Asking for a URL …";
    const extension = file.name.includes(".") ? file.name.split(".").pop().toLowerCase() : "";
    let granted;
    try {
      const answer = await fetch(`${data.api_url}/avatars/key_upload`, {
        method: "POST",
        headers: { Authorization: `Bearer ${data.token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ extension, size: file.size }),
      });
      if (!answer.ok) return fail("ask", answer.status, await answer.text());
      granted = await answer.json();
    } catch (error) {
      return fail("ask", 0, String(error));
    }
    await put(granted, file).catch((error) => fail("put", 0, String(error)));
  };

  // Resolves once the upload has ended, well or not
  const put = (granted, file) => new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open(granted.method, granted.url);
    for (const [name, value] of Object.entries(granted.headers)) request.setRequestHeader(name, value);
    bar.hidden = false;
    request.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total;
      words.textContent = `Uploading ${file.name}: ${Math.round(100 * bar.value)} %`;
    };
    request.onerror = () => fail("put", 0, "");
    request.onload = () => {
      if (request.status !== 200) return fail("put", request.status, request.responseText);
      bar.value = 1;
      words.textContent = `${file.name} is uploaded.`;
      const version = (request.getResponseHeader("ETag") || "").replaceAll('"', "");
      setTriggerValue("uploaded", { version, size: file.size });
    };
    request.onloadend = resolve;
    request.send(file);
  });

  const start = (file) => file && !input.disabled && send(file).finally(() => (input.disabled = false));
  input.onchange = () => { start(input.files[0]); input.value = ""; };
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    start(event.dataTransfer.files[0]);
  };
  return () => URL.revokeObjectURL(picture.src);
}
