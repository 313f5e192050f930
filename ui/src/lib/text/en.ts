/** English, and the shape of every language: what is missing or surplus in another is an error of types. */
import type { Timer } from '../backend/bindings/Timer';
import type { Forms, Say } from './say';

/** Plain and warm, whole sentences; buttons say the act. */
export const english = (say: Say) => ({
  appName: 'Mayfly',
  close: 'Close',
  cancel: 'Cancel',
  back: 'Back to the chats',
  tryAgain: 'Try again',

  firstStart: {
    title: 'Messages that die on time',
    lead: 'What you write here is destroyed when its timer ends, on your side and on theirs.',
    name: 'Your name',
    nameHint: 'Only the people you talk to see it.',
    passphrase: 'Passphrase (optional)',
    passphraseHint: 'It is asked for at each start. Nobody can bring it back: if you lose it, this profile is lost too.',
    create: 'Create my profile',
    creating: 'Creating your profile',
  },

  unlock: {
    title: 'Welcome back',
    waitOver: 'You can try again now.',
    passphrase: 'Passphrase',
    unlock: 'Unlock',
    unlocking: 'Unlocking',
  },

  destroyed: {
    title: 'This profile is destroyed',
    lead: 'Its keys are gone, and nothing that was in it opens on this computer any more. You can begin anew.',
    begin: 'Begin anew',
  },

  /** The keys may be gone and the files not: it is safe to try again. */
  undestroyed: {
    title: 'This profile could not be destroyed',
    again: 'Destroy it',
  },

  panic: {
    title: 'Press again to destroy this profile for good',
    again: (keys: string) => `${keys}, once more, and everything in it is gone at once. Nobody can bring it back.`,
    keep: 'Escape keeps it, and so does waiting.',
  },

  security: {
    open: 'Security',
    title: 'Security',
    lock: (keys: string) => `Lock (${keys})`,
    lockNow: 'Lock',
    toLock: 'To lock this window, set a passphrase first. It is what opens it again.',
    passphrase: 'Passphrase',
    passphraseUnset: 'Without one, whoever has this computer has your messages, and nothing locks.',
    passphraseSet: 'It is asked for at each start and after each lock.',
    set: 'Set',
    change: 'Change',
    remove: 'Remove',
    save: 'Save',
    present: 'Present passphrase',
    fresh: 'New passphrase',
    repeat: 'The same again',
    differ: 'The two are not the same.',
    lost: 'Nobody can bring it back: if you lose it, this profile is lost, too.',
    lockAfter: 'Lock when nobody is at it',
    lockAfterHint: 'It locks, too, when this computer sleeps or its screen is locked.',
    lockAfterAlone: 'Nobody tells Mayfly here when this computer sleeps; it locks by this time alone.',
    lockAfterNone: 'Set a passphrase first.',
    after: (seconds: number) => `After ${say.length(seconds)}`,
    never: 'Never',
    eraseAfter: 'Destroy after wrong passphrases',
    eraseAfterHint: 'It binds whoever types here, not somebody who copies the files and tries elsewhere.',
    times: (count: number) => `${count} in a row`,
    duress: 'Passphrase for an emergency',
    duressHint: 'Typed in place of yours, it destroys everything and opens an empty profile. Nothing tells whether one is set.',
    duressFresh: 'Passphrase that destroys',
    keyring: 'Tie to the keyring of this login',
    keyringHint: 'A copy of the files opens nowhere else, and an older copy not even here. If the keyring is lost, so is the profile.',
    tpm: 'Tie to the TPM of this computer',
    tpmHint: 'Not even an image of the whole disk from before brings back what died. If the computer is lost, so is the profile.',
    destroy: 'Destroy this profile',
    destroyHint: (keys: string) => `Everything in it, at once and for good. ${keys}, twice, does it anywhere.`,
    destroyAsk: 'Type “destroy” to confirm',
    destroyWord: 'destroy',
    destroyAct: 'Destroy',
    destroyConfirm: 'Destroy for good',
    working: 'One moment',
    isSet: { passphrase: 'The passphrase is set.', duress: 'The passphrase for an emergency is set.' },
    isRemoved: { passphrase: 'The passphrase is removed.', duress: 'There is no passphrase for an emergency any more.' },
  },

  failure: {
    title: 'Mayfly could not open your profile',
  },

  chats: {
    label: 'Chats',
    invite: 'Invite someone',
    accept: 'Open an invitation',
    unread: (count: number) => say.count(count, { one: '# unread message', other: '# unread messages' }),
    waiting: 'Waiting for an answer',
    nothing: 'Nothing alive here',
    draft: (words: string) => `Draft: ${words}`,
    filters: 'Which chats are shown',
    all: 'All',
    fresh: 'Unread',
    archived: 'Archived',
    noneFresh: 'Everything is read.',
    noneArchived: 'Nothing is archived.',
    more: 'More about this chat',
    isPinned: 'Pinned',
    isMuted: 'Muted',
    pin: 'Pin',
    unpin: 'Unpin',
    mute: 'Mute',
    unmute: 'Unmute',
    archive: 'Archive',
    unarchive: 'Bring back',
    block: 'Block',
    unblock: 'Unblock',
    blocked: 'Blocked',
    blockedLead: (name: string) => `You have blocked ${say.name(name)}. Nothing they write arrives, and they are not told.`,
  },

  message: {
    more: 'More about this message',
    menu: 'Message',
    react: 'React',
    reaction: (emoji: string) => `React with ${emoji}`,
    takeBack: (emoji: string) => `Take back ${emoji}`,
    reactions: (emoji: string, count: number) => `${emoji}: ${say.count(count, { one: '# person', other: '# people' })}`,
    moreEmoji: 'More emoji',
    reply: 'Reply',
    edit: 'Edit',
    delete: 'Delete',
    edited: 'Edited',
    you: 'You',
    toSource: 'Show the message this answers',
    deleteTitle: 'Delete this message?',
    deleteMine: 'For everyone, it is destroyed here at once and on their device as soon as they are reached.',
    deleteTheirs: 'It is destroyed on this device. They keep their own copy until its time is up.',
    deleteForMe: 'Delete for me',
    deleteForEveryone: 'Delete for everyone',
  },

  emoji: {
    label: 'Emoji',
    open: 'Insert an emoji',
    groups: { faces: 'Faces', gestures: 'Gestures', hearts: 'Hearts and signs', nature: 'Nature', food: 'Food', things: 'Things' },
  },

  empty: {
    title: 'Nobody is here yet',
    lead: 'Invite a person you trust, or open the invitation that somebody sent you.',
    choose: 'Choose a chat to read it.',
    quiet: 'Nothing alive here. What you write next follows the timer above.',
    waiting: 'You can write already. It is read as soon as the other side has opened Mayfly.',
  },

  chat: {
    label: (name: string) => `Chat with ${say.name(name)}`,
    since: (moment: string) => `Contact since ${say.day(moment)}`,
    waiting: 'Has not answered yet',
    messages: 'Messages',
    newMessage: (name: string) => `New message from ${say.name(name)}`,
    newest: 'To the newest message',
    diesIn: (left: string) => `Disappears in ${left}`,
    diesAt: (moment: string) => `Destroyed on ${say.moment(moment)}`,
    unreadUntil: (moment: string) => `If it stays unread, it is destroyed on ${say.moment(moment)}`,
    sentAt: (moment: string) => `Sent on ${say.moment(moment)}`,
    notSent: 'Not sent',
  },

  proposal: {
    theirs: (name: string, timer: Timer) => `${say.name(name)} would like new messages to ${say.fate(timer)}.`,
    theirsNow: (timer: Timer) => `Now they ${say.fate(timer)}.`,
    ours: (name: string, timer: Timer) =>
      `You proposed that new messages ${say.fate(timer)}. ${say.name(name)} has not answered yet.`,
    accept: 'Accept',
    decline: 'Decline',
  },

  composer: {
    label: 'Message',
    placeholder: 'Message',
    send: 'Send',
    save: 'Save the change',
    replying: (name: string) => `Reply to ${name}`,
    replyingToSelf: 'Reply to your own message',
    editing: 'Edit the message',
    stop: 'Leave it',
    timer: (rule: string) => `Timer of this message: ${rule}`,
  },

  timer: {
    chatTitle: 'When messages disappear',
    messageTitle: 'When this message disappears',
    change: (rule: string) => `Timer: ${rule}. Change it.`,
    modes: 'The time is counted',
    afterSend: 'After sending',
    afterRead: 'After reading',
    afterSendHint: 'One moment for everybody, counted from pressing Send.',
    afterReadHint: 'Counted for each side once it has been read. Unread, it is destroyed after 14 days.',
    off: 'Off',
    custom: 'Custom',
    customValue: 'How many',
    customUnit: 'Unit',
    units: { s: 'seconds', min: 'minutes', h: 'hours', days: 'days' },
    asChat: (rule: string) => `As the chat: ${rule}`,
    outOfRange: 'A timer runs from 1 second to 365 days.',
    tooLong: (rule: string) => `A single message may only be shorter than the chat: ${rule}.`,
    longer: (name: string) => `This keeps messages longer, so ${say.name(name)} is asked first.`,
    shorter: 'It holds for new messages. Those already sent keep the timer they have.',
    stays: 'It holds for what you write here until you change it.',
    set: 'Set the timer',
    propose: 'Propose a change',
    use: 'Use this timer',
  },

  burn: {
    title: 'Burn with the lock',
    hint: 'What is said from now on is destroyed on this computer as soon as Mayfly locks or closes. Its key is never on the disk.',
    mark: 'Burns with the lock',
  },

  invite: {
    title: 'Invite someone',
    lead: 'Send this link to one person over a way you trust, or let them scan it. It works one time.',
    making: 'Making an invitation',
    link: 'Invitation link',
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'The link is selected. Copy it with Ctrl C.',
    qr: 'The invitation link as a QR code',
    until: (moment: string) => `It can be opened until ${say.moment(moment)}.`,
    local: 'Works only on this computer; for others, add a relay.',
    addRelay: 'Add a relay',
  },

  accept: {
    title: 'Open an invitation',
    lead: 'Paste the link that somebody sent you. It starts with “mayfly:”.',
    link: 'Invitation link',
    submit: 'Open the invitation',
    working: 'Opening the invitation',
  },

  relays: {
    title: 'Relays',
    lead: 'A relay keeps sealed messages for a short while until the other side fetches them. It cannot read them.',
    none: 'There is no relay yet.',
    address: 'Address of a relay',
    example: 'wss://relay.example',
    add: 'Add',
    remove: (relay: string) => `Remove ${relay}`,
    open: (line: string) => `${line}. Show the relays.`,
  },

  erasure: (tier: string) => `Erasure: ${tier}`,
  erasureHint: 'How well this disk lets things be destroyed',

  /** Lengths of time as they stand in a sentence; `#` is the count. */
  length: {
    week: { one: '# week', other: '# weeks' },
    day: { one: '# day', other: '# days' },
    hour: { other: '# h' },
    minute: { other: '# min' },
    second: { other: '# s' },
  } as Record<'week' | 'day' | 'hour' | 'minute' | 'second', Forms>,

  /** What is left, alone and as short as it can be. */
  left: {
    days: { one: '# day', other: '# days' },
    hours: { other: '# h' },
    minutes: { other: '# min' },
    seconds: { other: '# s' },
  } as Record<'days' | 'hours' | 'minutes' | 'seconds', Forms>,

  /** A timer as a rule. */
  rule: {
    off: 'Timer off',
    afterRead: (length: string) => `${length} after read`,
    afterSend: (length: string) => `${length} after sending`,
  },

  /** What a timer does to messages, to end a sentence with. */
  fate: {
    stay: 'stay until they are deleted',
    afterRead: (length: string) => `disappear ${length} after they are read`,
    afterSend: (length: string) => `disappear ${length} after they are sent`,
  },

  today: 'Today',
  yesterday: 'Yesterday',
  newContact: 'New contact',

  /** How a message has come along, for those who cannot see the tick. */
  state: {
    waiting: 'Waiting to be sent',
    sent: 'Sent',
    delivered: 'Delivered',
    read: 'Read',
    not_sent: 'Not sent',
    unread: 'Not read yet',
    seen: 'Read',
  },

  notice: {
    weSet: (timer: Timer) => `You set new messages to ${say.fate(timer)}.`,
    theySet: (name: string, timer: Timer) => `${say.name(name)} set new messages to ${say.fate(timer)}.`,
    weChanged: 'You changed the timer.',
    theyChanged: (name: string) => `${say.name(name)} changed the timer.`,
    weProposed: (timer: Timer) => `You proposed that new messages ${say.fate(timer)}.`,
    theyProposed: (name: string, timer: Timer) => `${say.name(name)} proposed that new messages ${say.fate(timer)}.`,
    weProposedSome: 'You proposed another timer.',
    theyProposedSome: (name: string) => `${say.name(name)} proposed another timer.`,
    weDeclined: 'You kept the timer as it is.',
    theyDeclined: (name: string) => `${say.name(name)} kept the timer as it is.`,
    damaged: 'A message is damaged on this disk and cannot be read.',
  },
  mine: (words: string) => `You: ${words}`,

  connection: {
    ready: 'Ready to connect',
    noRelay: 'No relay yet',
    connecting: 'Connecting',
    connected: (relays: number) => `Connected to ${say.count(relays, { one: '# relay', other: '# relays' })}`,
    offline: 'Offline, trying again',
    waiting: (line: string, count: number) => `${line} · ${count} waiting`,
  },

  strength: {
    weak: 'Easy to guess, going by its length alone.',
    fair: 'Fair, going by its length alone.',
    strong: 'Hard to guess, going by its length alone.',
  },

  /** After too many wrong passphrases. */
  wait: (left: string) => `Too many wrong passphrases. Try again in ${left}.`,

  /** What to do about an error, by its code. What is not listed shows the backend's own sentence. */
  errors: {
    profile_missing: 'There is no profile on this device yet.',
    profile_exists: 'There is already a profile on this device. Close Mayfly and start it again.',
    profile_in_use: 'Mayfly is already open with this profile. Close the other window first.',
    locked: 'This is not the passphrase of this profile, or its files are damaged. Please try again.',
    passphrase_wrong: 'This is not the passphrase of this profile. Please try again.',
    passphrase_unset: 'This profile has no passphrase yet. Set one first.',
    passphrase_set: 'This profile has a passphrase already.',
    duress_is_passphrase: 'The passphrase for an emergency has to be another one than the passphrase of this profile.',
    too_many_attempts: 'Too many wrong passphrases. Please wait a little.',
    profile_destroyed: 'This profile was destroyed and cannot be opened again.',
    keyring_unavailable: 'No keyring answers in this login. Start the one of your desktop, then try again.',
    keyring_locked: 'The keyring of this login is locked. Unlock it, then try again.',
    keyring_empty: 'The keyring of this login does not hold the share of this profile any more, and without it nothing opens it.',
    tpm_unavailable: 'The TPM of this computer does not answer.',
    rolled_back: 'This is an older copy of the profile than the one last used here, and it stays closed.',
    lock_after_invalid: 'The window locks after 10 seconds to a day, or never.',
    passphrase_required: 'This profile opens with its passphrase.',
    name_invalid: 'Please write the name that your contacts will see, in at most 64 characters.',
    relay_required: 'There is no relay to go through yet. Add one, then try again.',
    relay_invalid: 'This is not the address of a relay. It starts with ws:// or wss://.',
    invitation_invalid: 'This is not a whole Mayfly invitation. Copy the link from “mayfly:” to its end, and paste it again.',
    invitation_expired: 'This invitation has expired. Ask for a new one.',
    invitation_used: 'This invitation has been opened here already. Ask for a new one.',
    invitation_own: 'This is your own invitation. Send it to the person you want to talk to.',
    chat_blocked: 'You have blocked this contact. Unblock it to write.',
    message_not_own: 'Only a message of your own can be changed or deleted for everyone.',
    edit_too_late: 'A message can be changed for 24 hours after it was sent. Delete it and write it anew.',
    reaction_invalid: 'A reaction is one emoji.',
    chat_missing: 'This chat is not there any more.',
    message_missing: 'This message is not there any more.',
    message_too_long: 'This message is too long for one. Please send it in parts.',
    timer_invalid: 'This timer is not possible here. It runs from 1 second to 365 days, and no longer than the chat’s own.',
    proposal_missing: 'There is no proposal any more that waits for an answer.',
    closed: 'The profile is closed. Start Mayfly again.',
    not_open: 'The profile is not open. Start Mayfly again.',
    not_focused: 'Messages are marked as read only while this window is in front.',
    read_only: 'The folder of this profile cannot be written. Check its permissions and the disk, then try again.',
    store_damaged: 'A part of the files of this profile is damaged. What is left can be read; the rest cannot be brought back.',
    disk_full: 'The disk is full. Nothing is lost; free some space and try again.',
    unknown: 'Something went wrong, and Mayfly does not know what. Please try again.',
  },
});

/** The table that every language fills. */
export type Texts = ReturnType<typeof english>;
