output "queue_url" {
  description = "URL of the queue of new uploads."
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "ARN of the queue of new uploads."
  value       = aws_sqs_queue.this.arn
}

output "queue_name" {
  description = "Name of the queue of new uploads."
  value       = aws_sqs_queue.this.name
}

output "dead_letter_queue_url" {
  description = "URL of the queue of uploads that failed each time they were received."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_name" {
  description = "Name of the queue of uploads that failed each time they were received."
  value       = aws_sqs_queue.dead_letters.name
}

output "topic_arn" {
  description = "ARN of the topic of new and removed avatars."
  value       = aws_sns_topic.this.arn
}

output "topic_name" {
  description = "Name of that topic."
  value       = aws_sns_topic.this.name
}

output "cleanup_queue_url" {
  description = "URL of the queue of avatars that have left images behind."
  value       = aws_sqs_queue.cleanup.url
}

output "cleanup_queue_arn" {
  description = "ARN of the queue of avatars that have left images behind."
  value       = aws_sqs_queue.cleanup.arn
}

output "cleanup_dead_letter_queue_name" {
  description = "Name of the queue of avatars whose cleanup failed each time."
  value       = aws_sqs_queue.cleanup_dead_letters.name
}
