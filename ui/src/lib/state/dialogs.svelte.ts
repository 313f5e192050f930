/** How many dialogs are open: what a dialog covers is not being read. */
export const dialogs = $state({ open: 0 });

/**
 * Opens a modal dialog. The answer ends that and gives the focus back to what had it: the platform does so only for a
 * dialog that is still in the document.
 */
export function openModal(dialog: HTMLDialogElement): () => void {
  const before = document.activeElement;
  dialogs.open += 1;
  dialog.showModal();
  return () => {
    dialogs.open -= 1;
    dialog.close();
    const now = document.activeElement;
    const isFree = now === null || now === document.body || dialog.contains(now);
    if (isFree && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  };
}
