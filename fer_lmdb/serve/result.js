// The response contains no image: the browser's own copy becomes the source of the <img>.
watch('value', () => {
  const image = element.querySelector('img[data-image]');
  if (image && window.ferImage) image.src = window.ferImage;
  if (window.innerWidth < 900) element.scrollIntoView({ behavior: 'smooth', block: 'start' });
});
