const box = document.getElementById("search"), rows = [...document.querySelectorAll("#rows tbody tr")], found = document.getElementById("found");
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase(), hit = words.every(word => text.includes(word));
    row.hidden = !hit;
    count += hit;
  }
  found.textContent = words.length ? count + " of " + rows.length + " rows" : "";
});
