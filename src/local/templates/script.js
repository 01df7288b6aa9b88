"use strict";
// Everything works without this. It shows and hides what is typed, copies the redirect URI, sends the form without a
// new entry in the window's history, so that the window may be closed, and closes it.
function show(button) {
  const input = document.getElementById(button.dataset.show);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  });
}

function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

function send(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const buttons = form.querySelectorAll(".buttons button");
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = page.title;
      document.body.replaceWith(page.body);
      begin();
      document.querySelector("[autofocus]")?.focus();
    } catch {
      buttons.forEach((button) => { button.disabled = false; });
      const notice = document.createElement("p");
      notice.className = "notice bad";
      notice.setAttribute("role", "alert");
      notice.textContent = "The command no longer waits for this page. Run it again.";
      form.querySelectorAll(".notice").forEach((old) => old.remove());
      form.prepend(notice);
    }
  });
}

function begin() {
  document.querySelectorAll("[data-show]").forEach(show);
  document.querySelectorAll("[data-copy]").forEach(copy);
  document.querySelectorAll("form").forEach(send);
  const onward = document.querySelector("[data-onward]");
  if (onward) location.replace(onward.href);
  if (document.querySelector("[data-closes]")) setTimeout(() => window.close(), 4000);
  // What an authorization server said does not stay in the address bar.
  if (location.search) history.replaceState(null, "", location.pathname);
}

begin();
