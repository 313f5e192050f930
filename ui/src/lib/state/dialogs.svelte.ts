/** How many dialogs are open: what a dialog covers is not being read. And whether the one about security is to be. */
export const dialogs = $state({ open: 0, isSecurityOpen: false });
