// The code of a one-time link stands behind the #, which no server and no log sees. And a browser that comes
// from another site's link has not sent its cookie: here, on our own page, it does.

const code = location.hash.slice(1);
if (code.startsWith("link.")) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = code;
  document.querySelector("form").requestSubmit();
} else if ((await (await fetch("/console/session")).json()).isLoggedIn) {
  location.replace(document.querySelector("[name=next]").value);
}
