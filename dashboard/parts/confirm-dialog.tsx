import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useApp } from '../app.js';
import { useStore } from '../hooks.js';

/** Asks whether a command is really meant. The browser keeps the focus inside, and gives it back afterwards. */
export function ConfirmDialog(): JSX.Element {
  const { desk } = useApp();
  const command = useStore(desk.asked);
  const dialog = useRef<HTMLDialogElement>(null);
  const no = useRef<HTMLButtonElement>(null);
  const yes = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (command === null) {
      dialog.current?.close();
      return;
    }
    if (dialog.current?.open === false) dialog.current.showModal();
    (command.destructive ? no : yes).current?.focus();
  }, [command]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="confirm-question"
      aria-describedby="confirm-explanation"
      onCancel={(event) => {
        event.preventDefault();
        desk.refuse();
      }}
      // Told late: by then it may be open again, for another question.
      onClose={({ currentTarget }) => {
        if (!currentTarget.open) desk.refuse();
      }}
      onClick={({ target, currentTarget }) => {
        if (target === currentTarget) desk.refuse();
      }}
    >
      {command !== null && (
        <div class="dialog-body">
          <h2 id="confirm-question">{command.question}</h2>
          <p id="confirm-explanation">{command.explanation}</p>
          <div class="buttons">
            <button type="button" ref={no} onClick={() => desk.refuse()}>
              Go back
            </button>
            <button
              type="button"
              ref={yes}
              class={command.destructive ? 'danger primary' : 'primary'}
              onClick={() => void desk.confirm()}
            >
              {command.label}
            </button>
          </div>
        </div>
      )}
    </dialog>
  );
}
