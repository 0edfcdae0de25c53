const box = document.getElementById("search"), rows = [...document.querySelectorAll("#rows tbody tr")], found = document.getElementById("found");
const picks = [...document.querySelectorAll("input[name=outcome]")];
document.documentElement.classList.add("js");
let texts, frame;
function show() {
  texts ??= rows.map(row => row.textContent.toLowerCase());
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean), pick = picks.find(one => one.checked)?.value ?? "";
  let count = 0;
  rows.forEach((row, place) => {
    const hit = words.every(word => texts[place].includes(word));
    row.hidden = !hit;
    count += hit && (!pick || row.classList.contains(pick));
  });
  found.textContent = words.length || pick ? count + " of " + rows.length + " rows" : "";
}
function soon() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(show);
}
box.addEventListener("input", soon);
picks.forEach(pick => pick.addEventListener("change", soon));
// A browser that comes back to the page may have kept what was typed.
addEventListener("pageshow", show);
