"""Images, video, audio, cameras and atomic writes."""
