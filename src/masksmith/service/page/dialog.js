/* The question for an access token. Rule: the token is handed on and forgotten here. */

/** Ask for the token; "" where the person has none. */
export function askToken(refused) {
  const dialog = document.getElementById("ask");
  const field = document.getElementById("token");
  document.getElementById("ask-why").textContent = refused
    ? "The service did not accept this token. Another one?"
    : "This service wants to know who asks. Whoever runs it can give you a token.";
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" ? field.value.trim() : "";
      field.value = "";
      resolve(given);
    }, { once: true });
  });
}
