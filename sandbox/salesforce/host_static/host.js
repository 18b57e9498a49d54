// Opens the card by posting the signed request into its frame, and obeys the two calls of the canvas client that a
// card needs: resize, and repost after somebody allowed the app.
const frame = document.getElementById("card");
const form = document.getElementById("canvas");
if (form) form.submit();

window.addEventListener("message", (event) => {
  if (!frame || event.source !== frame.contentWindow) return;
  let message = event.data;
  if (typeof message === "string") {
    try { message = JSON.parse(message); } catch { return; }
  }
  const call = message?.body?.type ? message.body : message;
  if (call?.type === "repost") window.location.reload();
  const height = parseInt(call?.config?.size?.height ?? call?.size?.height, 10);
  if (call?.type === "resize" && height > 0) frame.style.height = `${Math.min(height, 2000)}px`;
});
