/**
 * The emoji of the grid, in the order in which they are looked for. A short list of our own: the usual pickers keep what
 * was used in the browser's database, where nothing dies.
 */
const split = (emoji: string) => emoji.split(' ');

/** What is offered under each message. */
export const QUICK = split('👍 ❤️ 😂 😮 😢 🙏');

export const EMOJI = {
  faces: split('😀 😃 😄 😁 😅 😂 🤣 🙂 😉 😊 😇 🥰 😍 😘 😋 😜 🤪 🤗 🤭 🤫 🤔 😐 😏 😒 🙄 😬 😌 😔 😴 😷 🤒 🥳 😎 🤓 😕 😟 😮 😳 🥺 😢 😭 😱 😤 😡 🤯 🥱 🤝'),
  gestures: split('👍 👎 👌 ✌️ 🤞 🤟 👈 👉 👆 👇 ☝️ 👋 🙌 👏 🙏 💪 ✍️ 👀 🤷 🤦 💁 🙋 🚶 🏃 👨‍👩‍👧'),
  hearts: split('❤️ 🧡 💛 💚 💙 💜 🖤 🤍 💔 💕 💯 ✅ ❌ ❗ ❓ ⚠️ ⭐ ✨ 🔥 🎉 🎂 🎁 ⏳ ⏰ 💤'),
  nature: split('🌞 🌙 ☁️ 🌧️ ❄️ 🌈 🌊 🌲 🌻 🌹 🍀 🍂 🐶 🐱 🐭 🐰 🦊 🐻 🐼 🐷 🐸 🐦 🦉 🐝 🦋 🐢 🐟 🐬'),
  food: split('☕ 🍵 🥂 🍷 🍺 🍞 🥐 🧀 🥗 🍕 🍝 🍜 🍣 🍔 🍟 🍎 🍌 🍓 🍒 🍋 🥕 🍰 🍫 🍪 🍦'),
  things: split('🏠 🏥 🏛️ 🚗 🚲 🚆 ✈️ 🚢 📍 🗝️ 🔒 🔑 💡 📞 💻 📷 📎 ✏️ 📄 📚 📅 📬 💶 🩺 ⚖️ 🎵 ⚽ 🎲'),
} as const;

export type EmojiGroup = keyof typeof EMOJI;
