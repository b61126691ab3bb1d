// The reason behind the dash of an unknown figure opens below the dash (css/components.css): it stays on the screen.
"use strict";
for (const name of ["focusin", "pointerover"]) {
  document.addEventListener(name, (event) => {
    const why = event.target.closest?.(".unknown")?.querySelector(".why");
    if (!why) return;
    Object.assign(why.style, { left: "0", top: "100%" });
    const { left, right, bottom, height } = why.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const swiped = why.closest(".swipe")?.getBoundingClientRect(); // cuts off what is outside; no box on wide screens
    const [wide, high] = swiped?.width ? [swiped.right, swiped.bottom] : [clientWidth - 8, clientHeight];
    const over = Math.min(right - wide, left - 8);
    if (over > 0) why.style.left = `${-over}px`;
    if (bottom > Math.min(high, clientHeight)) why.style.top = `${-height}px`;
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.activeElement.matches(".unknown")) document.activeElement.blur();
});
