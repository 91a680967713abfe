// Image input: file dialog, drag and drop, clipboard, camera or example.
// The image is sent once, as text in the event. The server does not store it, so the browser displays its own copy.
const MAX_SIDE = 2048;
const MAX_UNCHANGED_BYTES = 3e6;
const TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/bmp', 'image/avif'];
const find = (name) => element.querySelector(`[data-part="${name}"]`);
let stream = null;

function showStatus(text) { find('status').textContent = text; }

function toDataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function shrink(blob) {
  // Large photos are reduced before sending; faces remain large enough.
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && blob.size <= MAX_UNCHANGED_BYTES && TYPES.includes(blob.type)) { bitmap.close(); return blob; }
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92));
}

async function send(blob) {
  if (!blob) return;
  showStatus('');
  let image = blob;
  try { image = await shrink(blob); } catch { /* not decodable by the browser; the server reports the reason */ }
  if (image.size > Number(find('drop').dataset.bytes)) { showStatus('This file is too large.'); return; }
  if (window.ferImage) URL.revokeObjectURL(window.ferImage);
  window.ferImage = URL.createObjectURL(image);
  trigger('recognize', { image: await toDataUrl(image) });
}

function closeCamera() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  find('camera').hidden = true;
  find('start').hidden = false;
}

async function openCamera() {
  if (!navigator.mediaDevices) { find('snapshot').click(); return; }  // without https, use the phone's camera app
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' }, audio: false });
  } catch (error) {
    showStatus(error.name === 'NotAllowedError' ? 'The browser denied access to the camera.' : 'No camera was found.');
    return;
  }
  showStatus('');
  find('video').srcObject = stream;
  find('camera').hidden = false;
  find('start').hidden = true;
}

async function snapshot() {
  const video = find('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  closeCamera();
  send(await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92)));
}

async function example() {
  const response = await fetch('example.png');
  if (response.ok) send(await response.blob()); else showStatus('The example cannot be loaded.');
}

const actions = {
  choose: () => find('file').click(), camera: openCamera, shoot: snapshot, cancel: closeCamera, example,
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) actions[button.dataset.do]();
});
element.addEventListener('change', (event) => {
  if (event.target.type === 'file') { send(event.target.files[0]); event.target.value = ''; }
});
for (const name of ['dragover', 'dragleave', 'drop']) {
  element.addEventListener(name, (event) => {
    event.preventDefault();
    find('drop').classList.toggle('fer-over', name === 'dragover');
    if (name === 'drop') send([...event.dataTransfer.files].find((file) => file.type.startsWith('image/')) ?? event.dataTransfer.files[0]);
  });
}
document.addEventListener('paste', (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith('image/'));
  if (file) { event.preventDefault(); send(file); }
});
