import type { JSX } from 'preact';
import { useApp } from '../app.js';
import type { Command } from '../commands/command.js';
import { useOperator, useStore } from '../hooks.js';

interface CommandButtonProps {
  readonly command: Command;
  /** It makes sense by now. Default: true. */
  readonly possible?: boolean;
  /** Told what the server answered. */
  readonly onAnswer?: ((answer: unknown) => void) | undefined;
}

/** Asks back, and then has a command carried out. Nothing at all for those who may not give commands. */
export function CommandButton(props: CommandButtonProps): JSX.Element | null {
  const { command, possible = true, onAnswer } = props;
  const { desk } = useApp();
  const operator = useOperator();
  const pending = useStore(desk.pending, (targets) => targets.has(command.target));
  if (!operator) return null;
  const off = pending || !possible;
  return (
    <button
      type="button"
      class={command.destructive ? 'danger' : ''}
      // Not `disabled`: that would take the focus away from who has just pressed it.
      aria-disabled={off}
      onClick={() => {
        if (!off) desk.ask(command, onAnswer);
      }}
    >
      {command.label}
    </button>
  );
}
