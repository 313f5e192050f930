/** How many dialogs are open: what a dialog covers is not being read. */
export const dialogs = $state({ open: 0 });
