/* The ways in which pictures come to the page: chosen, dropped (folders too), pasted.
   Rule: it hands on files, and does not look into them. What cannot be read is an empty one marked as unreadable. */

export function receive(take) {
  const input = document.getElementById("files");
  for (const id of ["choose", "add"]) {
    document.getElementById(id).addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take([...event.clipboardData.files]);
  });
  receiveDrops(take);
}

function receiveDrops(take) {
  const mark = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault(); // else the browser leaves the page to show the file
    mark(false);
    take(await dropped(event.dataTransfer));
  });
}

async function dropped(transfer) {
  // Entries must be taken at once: after the first wait the transfer is empty.
  const loose = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return loose;
  return (await Promise.all(entries.map(inside))).flat();
}

async function inside(entry) {
  if (entry.name.startsWith(".")) return [];
  const found = [];
  const unread = [];
  try {
    if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    const reader = entry.createReader();
    for (;;) {
      // A reader answers with at most a hundred at a time, and with none at the end.
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      found.push(...some);
    }
  } catch { // one that may not be read must not cost the others their place in the list
    unread.push(Object.assign(new File([], entry.name), { unreadable: true }));
  }
  return [...unread, ...(await Promise.all(found.map(inside))).flat()];
}
