import svelte from 'eslint-plugin-svelte';
import tseslint from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

/** What would put words of a message on the disk in clear, or let markup in from outside. */
const storage = ['localStorage', 'sessionStorage', 'indexedDB', 'caches', 'cookieStore'];
const noStorage = 'It writes to the disk in clear: keep it in memory, or in the vault through the backend.';
const noMarkup = 'Text is shown as text, never as markup.';

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'src/lib/backend/bindings'] },
  ...tseslint.configs.recommendedTypeChecked,
  ...svelte.configs.recommended,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'scripts/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: 'error',
      'no-eval': 'error',
      'no-console': 'error',
      'no-undef': 'off',
      'no-restricted-globals': ['error', ...storage.map((name) => ({ name, message: noStorage }))],
      'no-restricted-properties': [
        'error',
        ...['window', 'globalThis', 'self'].flatMap((object) =>
          storage.map((property) => ({ object, property, message: noStorage })),
        ),
        { object: 'document', property: 'cookie', message: noStorage },
        { object: 'document', property: 'write', message: noMarkup },
        { property: 'innerHTML', message: noMarkup },
        { property: 'outerHTML', message: noMarkup },
        { property: 'insertAdjacentHTML', message: noMarkup },
      ],
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['@tauri-apps/*'], message: 'Only src/lib/backend speaks to the shell.' }] },
      ],
      'svelte/no-at-html-tags': 'error',
      // A property assigned inside an effect is what effects are for; runes track it.
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      parserOptions: { extraFileExtensions: ['.svelte'], parser: tseslint.parser, svelteConfig },
    },
  },
  {
    // What a component's markup is typed as is known to svelte-check alone.
    files: ['**/*.svelte'],
    rules: {
      '@typescript-eslint/no-redundant-type-constituents': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    // A test looks at the whole document for words that must not be there.
    files: ['**/*.test.ts'],
    rules: { 'no-restricted-properties': 'off', 'svelte/prefer-svelte-reactivity': 'off' },
  },
  {
    // The door to the shell, and who stands in for the shell.
    files: ['src/lib/backend/**'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['*.js', 'scripts/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { 'no-console': 'off' },
  },
);
